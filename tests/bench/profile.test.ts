import { expect, test } from 'vitest';

import { summarizeLayers } from '../../src/bench/profile.ts';
import type { KernelTime } from '../../src/bench/profile.ts';

const layer = (kernel: string, changes: Partial<KernelTime>): KernelTime => ({
  kernel,
  kind: 'other',
  dense: false,
  macs: 0,
  bytes: 0,
  milliseconds: 1,
  ...changes,
});

test('layers of one kernel are one line, and rates follow from all of them', () => {
  const product = { kind: 'pointwise', dense: true, macs: 5e7, bytes: 2e6 } as const;
  const summary = summarizeLayers(
    [
      layer('a', { ...product, milliseconds: 1 }),
      layer('b', { kind: 'depthwise', macs: 1e8, milliseconds: 2 }),
      layer('a', { ...product, milliseconds: 4 }),
      layer('c', { kind: 'conv', dense: true, macs: 1e7, milliseconds: 1 }),
      layer('d', { kind: 'norm', milliseconds: 2 }),
    ],
    80,
  );
  expect(summary.milliseconds).toBe(10);
  expect(summary.kernels.map(({ name, calls, milliseconds }) => [name, calls, milliseconds])).toEqual([
    ['a', 2, 5],
    ['b', 1, 2],
    ['d', 1, 2],
    ['c', 1, 1],
  ]);
  expect(summary.kernels[0]).toEqual({
    name: 'a',
    calls: 2,
    milliseconds: 5,
    share: 0.5,
    gflops: 40,
    gbPerSecond: 0.8,
    ofPeak: 0.5,
  });
  expect(summary.kinds.map(({ name, share }) => [name, share])).toEqual([
    ['depthwise', 0.2],
    ['pointwise', 0.5],
    ['conv', 0.1],
    ['norm', 0.2],
  ]);
  expect(summary.dense).toMatchObject({ calls: 3, milliseconds: 6, share: 0.6, gflops: 110 / 3 });
});

test('without a peak there is no part of it; nothing measured is nothing', () => {
  expect(summarizeLayers([layer('a', {})], null).kernels[0]?.ofPeak).toBeNull();
  expect(summarizeLayers([], 80)).toMatchObject({ milliseconds: 0, kernels: [], kinds: [] });
});
