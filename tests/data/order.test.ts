import fc from 'fast-check';
import { expect, test } from 'vitest';

import type { Dataset } from '../../src/data/dataset.ts';
import { MIXED_GROUPS, sampleOrder, shardOrder } from '../../src/data/order.ts';

function datasetOf(sizes: readonly number[]): Dataset {
  let start = 0;
  const groups = sizes.map((length) => ({ start: (start += length) - length, length }));
  return {
    name: 'test',
    classes: ['a'],
    length: start,
    groups,
    labelOf: () => 0,
    read: () => Promise.reject(new Error('not asked for')),
    close: () => Promise.resolve(),
  };
}

const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 40 });

test('every sample once, in an order that seed and epoch determine', () => {
  fc.assert(
    fc.property(sizes, fc.nat(), fc.nat(100), (lengths, seed, epoch) => {
      const dataset = datasetOf(lengths);
      const order = sampleOrder(dataset, true, seed, epoch);
      expect([...order].sort((a, b) => a - b)).toEqual([...sampleOrder(dataset, false, seed, epoch)]);
      expect(sampleOrder(dataset, true, seed, epoch)).toEqual(order);
    }),
  );
  const large = datasetOf([1000]);
  expect(sampleOrder(large, true, 1, 0)).not.toEqual(sampleOrder(large, true, 1, 1));
  expect(sampleOrder(large, true, 1, 0)).not.toEqual(sampleOrder(large, true, 2, 0));
});

test('a few groups at a time are visited, all their samples mixed', () => {
  const dataset = datasetOf(new Array<number>(64).fill(10));
  const order = [...sampleOrder(dataset, true, 3, 4)].map((index) => Math.floor(index / 10));
  for (let i = 0; i < 640; i += 10 * MIXED_GROUPS) {
    const window = order.slice(i, i + 10 * MIXED_GROUPS);
    expect(new Set(window).size).toBe(MIXED_GROUPS);
    expect(new Set(window.slice(0, 20)).size).toBeGreaterThan(3);
  }
});

test('ranks share what one worker would take, in equal parts', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 100 }),
      fc.integer({ min: 1, max: 8 }),
      fc.boolean(),
      (n, world, drop) => {
        const order = Uint32Array.from({ length: n }, (_, i) => (i * 7) % 101);
        const parts = Array.from({ length: world }, (_, rank) => shardOrder(order, rank, world, drop));
        const length = drop ? Math.floor(n / world) : Math.ceil(n / world);
        const together = Array.from(
          { length: length * world },
          (_, i) => parts[i % world]?.[Math.floor(i / world)],
        );
        expect(parts.every((part) => part.length === length)).toBe(true);
        expect(together).toEqual(Array.from({ length: length * world }, (_, i) => order[i % n]));
      },
    ),
  );
});
