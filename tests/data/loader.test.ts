import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, expect, test } from 'vitest';

import { WidefieldError } from '../../src/core/errors.ts';
import type { Batch, Dataset } from '../../src/data/dataset.ts';
import { oneGroup } from '../../src/data/dataset.ts';
import { countBatches, loadBatches } from '../../src/data/loader.ts';
import type { LoadOptions } from '../../src/data/loader.ts';
import { openDataset } from '../../src/data/open.ts';
import { openDataWorkers } from '../../src/data/workers.ts';
import { buildDataWorker } from '../support/data-worker.ts';
import { encodedImage, temporaryFolder } from '../support/dataset-files.ts';

const folder = await temporaryFolder();
const workerUrl = await buildDataWorker(folder);
const pool = await openDataWorkers(2, workerUrl);
afterAll(() => pool.close());

const photos = path.join(folder, 'photos');
for (const [label, name] of ['a', 'b', 'c'].entries()) {
  await mkdir(path.join(photos, name), { recursive: true });
  for (let i = 0; i < 7; i++) {
    const bytes = await encodedImage(i % 2 === 0 ? 'jpeg' : 'png', label + i, 40 + i, 30);
    await writeFile(path.join(photos, name, `${i}.jpg`), bytes);
  }
}

/** Samples that are a pixel each, of the value of their index; some of them damaged. */
function pixels(length: number, damaged: readonly number[] = []): Dataset {
  return {
    name: 'pixels',
    classes: ['even', 'odd'],
    length,
    groups: oneGroup(length),
    labelOf: (index) => index % 2,
    read: (index) =>
      damaged.includes(index)
        ? Promise.reject(new Error(`Sample ${index} is damaged.`))
        : Promise.resolve({
            name: String(index),
            label: index % 2,
            image: { width: 1, height: 1, channels: 1, data: Uint8Array.of(index) },
          }),
    close: () => Promise.resolve(),
  };
}

const PLAIN = { size: 1, channels: 1, crop: { kind: 'none' }, mean: [0], std: [1 / 255] } as const;

async function collect(dataset: Dataset, options: Partial<LoadOptions>): Promise<Batch[]> {
  const batches: Batch[] = [];
  for await (const batch of loadBatches(dataset, { batchSize: 4, transform: PLAIN, ...options })) {
    batches.push(batch);
  }
  return batches;
}

const indices = (batches: readonly Batch[]): number[] => batches.flatMap((batch) => [...batch.indices]);

test('batches in order; the last one is smaller, or left out', async () => {
  const batches = await collect(pixels(10), {});
  expect(batches.map(({ size }) => size)).toEqual([4, 4, 2]);
  expect(indices(batches)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect([...(batches[1]?.labels ?? [])]).toEqual([0, 1, 0, 1]);
  expect([...(batches[1]?.images ?? [])].map(Math.round)).toEqual([4, 5, 6, 7]);
  expect(indices(await collect(pixels(10), { dropLast: true }))).toHaveLength(8);
  expect(countBatches(10, { batchSize: 4 })).toBe(3);
  expect(countBatches(10, { batchSize: 4, dropLast: true })).toBe(2);
  expect(countBatches(10, { batchSize: 2, worldSize: 2 })).toBe(3);
});

test('resuming gives the batches that would have come', async () => {
  const all = await collect(pixels(50), { shuffle: true, seed: 3, epoch: 5 });
  const rest = await collect(pixels(50), { shuffle: true, seed: 3, epoch: 5, start: 7 });
  expect(rest).toEqual(all.slice(7));
  expect(await collect(pixels(50), { start: 99 })).toEqual([]);
});

test('the batches of ranks together are those of one process', async () => {
  const options = { shuffle: true, seed: 1, epoch: 2 };
  const one = await collect(pixels(24), { ...options, batchSize: 6 });
  const ranks = await Promise.all(
    [0, 1, 2].map((rank) => collect(pixels(24), { ...options, batchSize: 2, rank, worldSize: 3 })),
  );
  for (const [i, batch] of one.entries()) {
    const parts = ranks.flatMap((batches) => [...(batches[i]?.indices ?? [])]);
    expect(parts.sort((a, b) => a - b)).toEqual([...batch.indices].sort((a, b) => a - b));
  }
});

test('threads give the same bits in the same order', async () => {
  const dataset = await openDataset(photos);
  const transform = {
    size: 24,
    crop: { kind: 'random-resized' },
    flip: 0.5,
    randAugment: 'rand-m9-mstd0.5-inc1',
    colourJitter: 0.3,
    erase: 0.5,
  } as const;
  const options = { transform, shuffle: true, seed: 5, epoch: 1 };
  const here = await collect(dataset, { ...options, batchSize: 5 });
  expect(await collect(dataset, { ...options, batchSize: 5, workers: pool, prefetch: 1 })).toEqual(here);
  expect(await collect(dataset, { ...options, batchSize: 5, workers: pool, prefetch: 6 })).toEqual(here);
  expect(here[0]?.images.some((value) => value !== 0)).toBe(true);
  // A sample looks the same in any batch, and different in another epoch.
  const size = 24 * 24 * 3;
  const values = (batches: readonly Batch[], index: number): Float32Array | undefined => {
    const batch = batches.find((candidate) => candidate.indices.includes(index));
    const position = batch?.indices.indexOf(index) ?? 0;
    return batch?.images.slice(position * size, (position + 1) * size);
  };
  expect(values(await collect(dataset, { ...options, batchSize: 3 }), 11)).toEqual(values(here, 11));
  expect(values(await collect(dataset, { ...options, batchSize: 3, epoch: 2 }), 11)).not.toEqual(
    values(here, 11),
  );
});

test.each([
  ['in this thread', 0],
  ['on threads', pool],
] as const)('memory of batches that are done with is used again, %s', async (_, workers) => {
  const buffers = new Set<ArrayBufferLike>();
  const seen: number[] = [];
  const first: Float32Array[] = [];
  const options = { batchSize: 4, transform: PLAIN, prefetch: 1, reuse: true, workers };
  for await (const { images } of loadBatches(pixels(42, [5]), options)) {
    buffers.add(images.buffer);
    first.push(images);
    seen.push(...[...images].map(Math.round));
  }
  expect(seen).toEqual(Array.from({ length: 42 }, (_value, i) => (i === 5 ? 6 : i)));
  if (workers === 0) expect(buffers.size).toBeLessThanOrEqual(4);
  // What a thread has taken over is empty here.
  else expect(first.filter(({ length }) => length === 0).length).toBeGreaterThanOrEqual(6);
});

test.each([['in this thread'], ['on threads']])(
  'damaged samples are replaced by the next ones, %s',
  async (where) => {
    const damaged: number[] = [];
    const batches = await collect(pixels(10, [2, 3, 9]), {
      workers: where === 'on threads' ? pool : 0,
      onCorrupt: ({ index, error }) => {
        expect(error).toBe(`Sample ${index} is damaged.`);
        damaged.push(index);
      },
    });
    expect(damaged).toEqual([2, 3, 9]);
    expect(indices(batches)).toEqual([0, 1, 4, 4, 4, 5, 6, 7, 8, 0]);
    expect(batches.flatMap(({ images }) => [...images].map(Math.round))).toEqual(indices(batches));
    expect(batches.flatMap(({ labels }) => [...labels])).toEqual(indices(batches).map((index) => index % 2));
  },
);

test('too many damaged samples are an error that names them', async () => {
  await expect(collect(pixels(10, [2, 3, 9]), { corruptLimit: 2 })).rejects.toThrow(
    '3 samples are damaged, more than the limit of 2: Sample 2 is damaged. Sample 3 is damaged. Sample 9 is damaged.',
  );
  await expect(collect(pixels(3, [0, 1, 2]), {})).rejects.toThrow(/No sample of pixels can be decoded/);
});

test('damaged files are named', async () => {
  const broken = path.join(folder, 'broken');
  await mkdir(path.join(broken, 'a'), { recursive: true });
  const image = await encodedImage('jpeg', 1, 64, 64);
  await writeFile(path.join(broken, 'a/1.jpg'), image);
  await writeFile(path.join(broken, 'a/2.jpg'), image.subarray(0, image.length / 2));
  await writeFile(path.join(broken, 'a/3.jpg'), '');
  for (const crop of [{ kind: 'centre' }, { kind: 'random-resized', area: [1, 1] }] as const) {
    const errors: string[] = [];
    await collect(await openDataset(broken), {
      transform: { size: 32, crop },
      onCorrupt: ({ error }) => errors.push(error),
    });
    expect(errors).toHaveLength(2);
    expect(errors[0]).toMatch(/a.2\.jpg cannot be decoded/);
    expect(errors[1]).toMatch(/a.3\.jpg is empty/);
  }
});

test('cancelling ends it, and so does leaving the loop', async () => {
  const controller = new AbortController();
  const batches = loadBatches(pixels(100), {
    batchSize: 4,
    transform: PLAIN,
    signal: controller.signal,
    workers: pool,
  });
  await batches.next();
  controller.abort();
  await expect(batches.next()).rejects.toMatchObject({ code: 'aborted' });
  for await (const batch of loadBatches(pixels(100), { batchSize: 4, transform: PLAIN, workers: pool })) {
    expect(batch.size).toBe(4);
    break;
  }
});

test.each<[Partial<LoadOptions>, RegExp]>([
  [{ batchSize: 0 }, /batchSize must be a whole number, at least 1, not 0/],
  [{ seed: -1 }, /seed must be a whole number, from 0 to 4294967295/],
  [{ rank: 2, worldSize: 2 }, /no rank 2 among 2/],
  [{ transform: { size: 0 } }, /size cannot be 0/],
  [{ transform: { size: [32, 24] } }, /size cannot be 32 × 24: give a square, or the crop resize: 'warp'/],
  [
    { transform: { size: 8, crop: { kind: 'centre', resize: 7 } } },
    /crop\.resize cannot be 7: give pixels from/,
  ],
  [
    { transform: { size: 8, crop: { kind: 'centre', interpolation: 'nearest' as 'bicubic' } } },
    /crop\.interpolation cannot be nearest: give bilinear or bicubic/,
  ],
  [{ transform: { size: 8, flip: 2 } }, /flip cannot be 2: give a probability/],
  [{ transform: { size: 8, mean: [1] } }, /mean cannot be \[1\]: give 3 numbers/],
  [
    { transform: { size: 8, erase: { probability: 1, area: [0.5, 2] } } },
    /erase\.area cannot be \[0\.5, 2\]/,
  ],
  [{ transform: { size: 8, randAugment: 'rand-q1' } }, /no setting q1/],
])('options that make no sense: %j', async (options, message) => {
  await expect(collect(pixels(4), options)).rejects.toThrow(message);
});

test('images of another size than the network sees', async () => {
  await expect(collect(pixels(1), { transform: { ...PLAIN, size: 2 }, corruptLimit: 0 })).rejects.toThrow(
    /0 is 1 × 1 pixels, not 2 × 2: choose a crop that resizes/,
  );
});

test('a disk that is gone is no damaged sample', async () => {
  const error = new WidefieldError('io', 'The disk is gone.');
  const dataset: Dataset = {
    ...pixels(10),
    read: (index, options) => (index < 6 ? pixels(10).read(index, options) : Promise.reject(error)),
  };
  await expect(collect(dataset, {})).rejects.toBe(error);
  await expect(collect(dataset, { workers: pool })).rejects.toBe(error);
});

test('await using ends the threads of a pool', async () => {
  const opened = await openDataWorkers(1, workerUrl);
  {
    await using workers = opened;
    expect(await collect(pixels(4), { workers })).toHaveLength(1);
  }
  await expect(collect(pixels(4), { workers: opened })).rejects.toMatchObject({ code: 'device-lost' });
});

test('there are no pools of no threads', async () => {
  await expect(openDataWorkers(0, workerUrl)).rejects.toThrow(/at least 1 thread to prepare images, not 0/);
});
