import { expect, it } from 'vitest';

import type { Dataset } from '../../src/data/dataset.ts';
import { splitDataset, subsetOf } from '../../src/data/subset.ts';

const dataset: Dataset = {
  name: 'numbers',
  classes: ['even', 'odd'],
  length: 10,
  groups: [
    { start: 0, length: 4 },
    { start: 4, length: 3 },
    { start: 7, length: 3 },
  ],
  labelOf: (index) => index % 2,
  read: (index) =>
    Promise.resolve({ name: String(index), label: index % 2, image: { bytes: Uint8Array.of(index) } }),
  close: () => Promise.resolve(),
};

it('a subset has its samples in order, and what is left of the groups', async () => {
  const subset = subsetOf(dataset, [9, 1, 3, 8], 'some');
  expect(subset.length).toBe(4);
  expect(subset.groups).toEqual([
    { start: 0, length: 2 },
    { start: 2, length: 2 },
  ]);
  expect([0, 1, 2, 3].map((i) => subset.labelOf(i))).toEqual([1, 1, 0, 1]);
  expect((await subset.read(2)).name).toBe('8');
});

it('await using a subset closes the dataset', async () => {
  let closes = 0;
  const close = (): Promise<void> => {
    closes++;
    return Promise.resolve();
  };
  {
    await using subset = subsetOf({ ...dataset, close }, [3], 'one');
    expect(subset.length).toBe(1);
  }
  expect(closes).toBe(1);
});

it('a split is random, follows from the seed, and loses nothing', () => {
  const { first, rest } = splitDataset(dataset, 3, 1);
  expect(first).toHaveLength(3);
  expect([...first, ...rest].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect(splitDataset(dataset, 3, 1).first).toEqual(first);
  const seeds = Array.from({ length: 8 }, (_, seed) => splitDataset(dataset, 3, seed).first.join());
  expect(new Set(seeds).size).toBeGreaterThan(4);
  expect(() => splitDataset(dataset, 10, 1)).toThrow(/10 images, of which 10 cannot be taken/);
});
