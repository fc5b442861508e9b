import { describe, expect, test } from 'vitest';

import { slakSizes } from '../../../src/lab/published.ts';
import { slak } from '../../../src/models/slak.ts';
import { sparseCounts, uniformCounts } from '../../../src/train/sparsity/index.ts';

const DEEP = [3, 3, 27, 3];
const published = (name: string): { parametersM: number; gmacs: number } => {
  const row = slakSizes.rows.find((row) => row.name === name);
  if (row === undefined) throw new Error(name);
  return row;
};

describe('sizes of sparse networks that SLaK prints', () => {
  test.each([
    ['SLaK-T, sparse 0.40', slak(), 0.4],
    ['SLaK-S, sparse 0.40', slak({ depths: DEEP }), 0.4],
    ['SLaK-B, sparse 0.40', slak({ depths: DEEP, channels: [128, 256, 512, 1024] }), 0.4],
    ['SLaK-T, sparse 0.20, ×1.1', slak({ widthFactor: 1.1 }), 0.2],
    ['SLaK-T, sparse 0.55, ×1.5', slak({ widthFactor: 1.5 }), 0.55],
    ['SLaK-T, sparse 0.82, ×2.5', slak({ widthFactor: 2.5 }), 0.82],
    ['decomposed 51-49-47-13, sparse 0.40', slak({ widthFactor: 1 }), 0.4],
  ])('%s', (name, variant, sparsity) => {
    const { parameters, macs } = uniformCounts(variant.build(), 1 - sparsity);
    const { parametersM, gmacs } = published(name);
    // The paper's masks have SNIP's densities, other than uniform ones, so that multiplications are up to 9% fewer.
    expect(Math.abs(parameters / 1e6 / parametersM - 1)).toBeLessThan(0.05);
    expect(macs / 1e9 / gmacs).toBeGreaterThan(0.97);
    expect(macs / 1e9 / gmacs).toBeLessThan(1.09);
  });
});

test('counts what remains, layer by layer', () => {
  const graph = slak().build();
  const dense = sparseCounts(graph, () => undefined);
  expect(dense).toEqual({ parameters: 50703838, macs: 8704776370 });
  const key = 'head.weight';
  const half = sparseCounts(graph, (name) => (name === key ? 0.5 : undefined));
  expect(dense.parameters - half.parameters).toBe((998 * 1000) / 2);
  expect(dense.macs - half.macs).toBe((998 * 1000) / 2);
  const large = uniformCounts(graph, 0.5, 'large-kernels');
  expect(large.parameters).toBeGreaterThan(uniformCounts(graph, 0.5).parameters);
});
