import { describe, expect, test } from 'vitest';

import { findDevice } from '../../src/lab/devices.ts';
import * as published from '../../src/lab/published.ts';
import { depthwiseBounds, throughputBounds } from '../../src/lab/throughput.ts';

const a100 = findDevice('a100');

describe('published throughputs are below the bound of the device', () => {
  const bounds = throughputBounds(a100);

  test('all of them', () => {
    expect(bounds.map(({ title }) => title)).toEqual(published.throughputs.rows.map(({ title }) => title));
  });

  test.each(bounds)('$title: $measured images a second', ({ share, measured, bound }) => {
    expect(share).toBeCloseTo(measured / bound, 12);
    expect(share).toBeGreaterThan(0.05);
    expect(share).toBeLessThan(1);
  });
});

test('published depthwise layers are above their least times, which full kernels are bound to by operations', () => {
  for (const row of depthwiseBounds(a100)) {
    const ops = 2 * 64 * 384 * row.size ** 2 * 51 ** 2;
    expect(row.fullBoundMs).toBeCloseTo((1e3 * ops) / 19.5e12, 6);
    expect(row.fullMs).toBeGreaterThan(row.fullBoundMs);
    expect(row.decomposedMs).toBeGreaterThan(row.decomposedBoundMs);
    expect(row.fullBoundMs / row.decomposedBoundMs).toBeGreaterThan(4);
  }
});
