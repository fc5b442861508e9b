import { readFileSync, readdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import fc from 'fast-check';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { expect, test } from 'vitest';

import { WidefieldError } from '../../src/core/errors.ts';
import { openDataset } from '../../src/data/open.ts';
import { encodedImage, temporaryFolder } from '../support/dataset-files.ts';

const FEATURES = {
  image: { _type: 'Image' },
  label: { names: ['cat', 'dog', 'eel'], _type: 'ClassLabel' },
};

/** A file as `datasets` writes it, with row groups of two. */
function parquetFile(
  images: readonly (Uint8Array | undefined)[],
  labels: readonly number[],
  features?: object,
): Uint8Array {
  const buffer = parquetWriteBuffer({
    schema: [
      { name: 'schema', num_children: 2 },
      { name: 'image', num_children: 2, repetition_type: 'OPTIONAL' },
      { name: 'bytes', type: 'BYTE_ARRAY', repetition_type: 'OPTIONAL' },
      { name: 'path', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'OPTIONAL' },
      { name: 'label', type: 'INT64', repetition_type: 'OPTIONAL' },
    ],
    columnData: [
      { name: 'image', data: images.map((bytes, i) => ({ bytes, path: `${i}.jpg` })) },
      { name: 'label', data: labels.map(BigInt) },
    ],
    rowGroupSize: 2,
    ...(features && {
      kvMetadata: [{ key: 'huggingface', value: JSON.stringify({ info: { features } }) }],
    }),
  });
  return new Uint8Array(buffer);
}

test('files of a split, with names of classes', async () => {
  const folder = await temporaryFolder();
  const images = await Promise.all([0, 1, 2, 3, 4].map((i) => encodedImage('jpeg', i)));
  const write = (name: string, bytes: Uint8Array) => writeFile(path.join(folder, name), bytes);
  await write('train-00000-of-00002.parquet', parquetFile(images.slice(0, 3), [2, 0, 1], FEATURES));
  await write('train-00001-of-00002.parquet', parquetFile(images.slice(3), [1, 2], FEATURES));
  await write('validation-00000-of-00001.parquet', parquetFile(images.slice(0, 1), [1], FEATURES));
  const dataset = await openDataset(folder, { split: 'train' });
  expect(dataset).toMatchObject({
    length: 5,
    classes: ['cat', 'dog', 'eel'],
  });
  expect(dataset.groups.map(({ start, length }) => [start, length])).toEqual([
    [0, 2],
    [2, 1],
    [3, 2],
  ]);
  for (const index of [4, 0, 2, 1, 3]) {
    const { name, label, image } = await dataset.read(index);
    expect(label).toBe([2, 0, 1, 1, 2][index]);
    expect(path.basename(name)).toBe(
      `train-0000${index < 3 ? 0 : 1}-of-00002.parquet#${index % 3} (${index % 3}.jpg)`,
    );
    expect('bytes' in image && Buffer.compare(image.bytes, images[index] ?? Buffer.alloc(0))).toBe(0);
  }
  await dataset.close();
  const validation = await openDataset(folder, { split: 'val' });
  expect(validation.length).toBe(1);
  await validation.close();
});

test('other columns, labels out of range, images without bytes', async () => {
  const folder = await temporaryFolder();
  const image = await encodedImage('jpeg', 0);
  const file = path.join(folder, 'a.parquet');
  await writeFile(file, parquetFile([image], [3], FEATURES));
  await expect(openDataset(file)).rejects.toThrow(/Label 3 of sample 0 .* there are 3 classes/);
  await writeFile(file, parquetFile([undefined], [0]));
  const dataset = await openDataset(file);
  expect(dataset.classes).toEqual(['0']);
  await expect(dataset.read(0)).rejects.toThrow(/a\.parquet#0 \(0\.jpg\) has no image bytes/);
  await dataset.close();
  const other = parquetWriteBuffer({ columnData: [{ name: 'text', data: ['a'] }] });
  await writeFile(file, new Uint8Array(other));
  await expect(openDataset(file)).rejects.toThrow(
    /lacks a column of images or one of labels \(it has text\)/,
  );
});

const PYARROW = path.join(import.meta.dirname, '../fixtures/parquet');

test.each(readdirSync(PYARROW).filter((name) => name.endsWith('.parquet')))('%s of pyarrow', async (name) => {
  const dataset = await openDataset(path.join(PYARROW, name));
  expect(dataset).toMatchObject({
    length: 7,
    classes: ['cat', 'dog', 'eel'],
    groups: [
      { start: 0, length: 4 },
      { start: 4, length: 3 },
    ],
  });
  for (let i = 0; i < 7; i++) {
    const sample = await dataset.read(i);
    expect({ ...sample, name: path.basename(sample.name) }).toEqual({
      name: `${name}#${i}${i === 4 ? '' : ` (${i}.png)`}`,
      label: (i * i) % 3,
      image: { bytes: Uint8Array.from({ length: 20 + i }, (_, k) => (i * 31 + k * k) % 251) },
    });
  }
  await dataset.close();
});

test.each(['v1-snappy', 'v1-gzip', 'v1-zstd', 'v2-delta'])(
  'whatever bytes of %s change, there is one clear error or a dataset',
  async (name) => {
    const folder = await temporaryFolder();
    const file = path.join(folder, 'fuzz.parquet');
    const whole = new Uint8Array(readFileSync(path.join(PYARROW, `${name}.parquet`)));
    const changes = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(changes, fc.boolean(), fc.nat(whole.length), async (edits, cut, start) => {
        const bytes = whole.slice(cut ? start : 0);
        for (const [at, value] of edits) if (at < bytes.length) bytes[at] = value;
        await writeFile(file, bytes);
        try {
          const dataset = await openDataset(file);
          try {
            for (let i = 0; i < Math.min(dataset.length, 8); i++) await dataset.read(i);
          } finally {
            await dataset.close();
          }
        } catch (error) {
          expect(error).toBeInstanceOf(WidefieldError);
        }
      }),
      { numRuns: 200 },
    );
  },
);
