import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import { expect, test } from 'vitest';

import { openDataset } from '../../src/data/open.ts';
import { folderOfTest } from '../support/dataset-files.ts';

/** A record: label bytes, then planes of red 1 …, green 101 … and blue 201 …, each counting its pixels modulo 50. */
function record(...labels: number[]): Buffer {
  const planes = Buffer.from(
    Array.from({ length: 3072 }, (_, i) => 1 + 100 * Math.floor(i / 1024) + (i % 50)),
  );
  return Buffer.concat([Buffer.from(labels), planes]);
}

test('CIFAR-10: planes become pixels, files follow one another', async () => {
  const folder = await folderOfTest();
  const names = ['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck'];
  for (let i = 1; i <= 5; i++) {
    await writeFile(path.join(folder, `data_batch_${i}.bin`), Buffer.concat([record(i), record(i + 1)]));
  }
  await writeFile(path.join(folder, 'test_batch.bin'), record(9));
  await writeFile(path.join(folder, 'batches.meta.txt'), `${names.join('\n')}\n\n`);
  const dataset = await openDataset(folder, { split: 'train' });
  expect(dataset).toMatchObject({ length: 10, classes: names });
  const { name, label, image } = await dataset.read(7);
  expect({ name: path.basename(name), label }).toEqual({ name: 'data_batch_4.bin#1', label: 5 });
  expect(image).toMatchObject({ width: 32, height: 32, channels: 3 });
  expect('data' in image && [...image.data.subarray(0, 6)]).toEqual([
    1,
    101 + 24,
    201 + 48,
    2,
    102 + 24,
    202 + 49 - 1,
  ]);
});

test('CIFAR-100: the fine label counts', async () => {
  const folder = await folderOfTest();
  await writeFile(path.join(folder, 'train.bin'), Buffer.concat([record(3, 77), record(19, 99)]));
  await writeFile(path.join(folder, 'test.bin'), record(0, 0));
  const dataset = await openDataset(folder);
  expect([dataset.labelOf(0), dataset.labelOf(1), dataset.classes.length]).toEqual([77, 99, 100]);
});

test('damaged files', async () => {
  const folder = await folderOfTest();
  await writeFile(path.join(folder, 'test_batch.bin'), record(1).subarray(1));
  await expect(openDataset(folder)).rejects.toThrow(/has 3072 bytes, not a multiple of 3073/);
  await writeFile(path.join(folder, 'test_batch.bin'), record(10));
  await expect(openDataset(folder)).rejects.toThrow(/Label 10 of sample 0 .* there are 10 classes/);
});
