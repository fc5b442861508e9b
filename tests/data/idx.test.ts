import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { gzipSync } from 'node:zlib';

import fc from 'fast-check';
import { expect, test } from 'vitest';

import { WidefieldError } from '../../src/core/errors.ts';
import { FASHION_MNIST_CLASSES, findFashionMnist, openFashionMnist } from '../../src/data/fashion-mnist.ts';
import { openIdx, parseIdx } from '../../src/data/idx.ts';
import { openDataset } from '../../src/data/open.ts';
import { idxFile, temporaryFolder } from '../support/dataset-files.ts';

const folder = await temporaryFolder();
const inFolder = (name: string): string => path.join(folder, name);
const pixels = Uint8Array.from({ length: 3 * 4 * 5 }, (_, i) => i);

async function write(name: string, bytes: Uint8Array): Promise<string> {
  await writeFile(inFolder(name), bytes);
  return inFolder(name);
}

test('images and labels, compressed or not', async () => {
  const images = await write('a-images', idxFile([3, 4, 5], pixels));
  const labels = await write('a-labels.gz', gzipSync(idxFile([3], Uint8Array.of(2, 0, 1))));
  const dataset = await openIdx({ name: 'a', images, labels });
  expect(dataset).toMatchObject({ length: 3, classes: ['0', '1', '2'], groups: [{ start: 0, length: 3 }] });
  expect(await dataset.read(1)).toEqual({
    name: `${images}#1`,
    label: 0,
    image: { width: 5, height: 4, channels: 1, data: pixels.subarray(20, 40) },
  });
});

test.each([
  ['a wrong magic number', Uint8Array.of(1, 0, 8, 1, 0, 0, 0, 0), /no IDX file/],
  ['floats', Uint8Array.of(0, 0, 0x0d, 1, 0, 0, 0, 0), /type 0xd/],
  ['a header cut short', Uint8Array.of(0, 0, 8, 3, 0, 0), /cut short/],
  [
    'missing pixels',
    idxFile([3, 4, 5], pixels.subarray(1)),
    /59 bytes of data where its header says 3 × 4 × 5/,
  ],
  ['gigantic sizes', idxFile([2 ** 31, 2 ** 31, 2 ** 31], pixels), /get an intact copy/],
])('%s: a clear error', (_, bytes, message) => {
  expect(() => parseIdx('file', bytes)).toThrow(message);
});

test('random bytes are refused, or are what their header says', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), fc.boolean(), (bytes, valid) => {
      if (valid && bytes.length >= 4) bytes.set([0, 0, 8, bytes[3] ?? 0]);
      try {
        const { shape, data } = parseIdx('file', bytes);
        expect(data.length).toBe(shape.reduce((a, b) => a * b, 1));
      } catch (error) {
        expect(error).toBeInstanceOf(WidefieldError);
      }
    }),
    { numRuns: 2000 },
  );
});

test('labels that belong to other images, or to no class', async () => {
  const images = await write('b-images', idxFile([3, 4, 5], pixels));
  const two = await write('b-two', idxFile([2], Uint8Array.of(0, 1)));
  await expect(openIdx({ name: 'b', images, labels: two })).rejects.toThrow(/holds 2 labels for 3 images/);
  const labels = await write('b-labels', idxFile([3], Uint8Array.of(0, 1, 2)));
  await expect(openIdx({ name: 'b', images, labels, classes: ['x', 'y'] })).rejects.toThrow(
    /Label 2 of sample 2 .* out of range: there are 2 classes/,
  );
});

test('Fashion-MNIST is found in a folder, or asked for by name', async () => {
  const own = inFolder('fashion-own');
  await mkdir(own);
  await expect(findFashionMnist(own)).rejects.toThrow(
    /apt install dataset-fashion-mnist.*train-images-idx3-ubyte\.gz, train-labels-idx1-ubyte\.gz, t10k-images-idx3-ubyte\.gz, t10k-labels-idx1-ubyte\.gz/,
  );
  for (const [split, count] of [
    ['train', 3],
    ['t10k', 2],
  ] as const) {
    const data = idxFile([count, 4, 5], pixels.subarray(0, count * 20));
    await write(`fashion-own/${split}-images-idx3-ubyte.gz`, gzipSync(data));
    await write(
      `fashion-own/${split}-labels-idx1-ubyte.gz`,
      gzipSync(idxFile([count], new Uint8Array(count).fill(9))),
    );
  }
  const test = await openFashionMnist('test', own);
  expect(test).toMatchObject({ length: 2, classes: FASHION_MNIST_CLASSES });
  expect((await test.read(0)).label).toBe(9);
  expect((await openDataset(own)).length).toBe(3);
  expect((await openDataset(own, { split: 'test' })).classes).toEqual(FASHION_MNIST_CLASSES);
  await expect(openDataset(own, { split: 'val' })).rejects.toThrow(/no split val: it has train, test/);
});

test('a damaged compressed file', async () => {
  const good = gzipSync(idxFile([3], Uint8Array.of(0, 1, 2)));
  const labels = await write('c.gz', good.subarray(0, good.length - 6));
  const images = await write('c-images', idxFile([3, 4, 5], pixels));
  await expect(openIdx({ name: 'c', images, labels })).rejects.toThrow(/cannot be decompressed/);
});
