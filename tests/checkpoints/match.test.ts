import { describe, expect, it } from 'vitest';

import { describeMatch, matchWeights, matches } from '../../src/checkpoints/match.ts';
import { syntheticWeights } from '../../src/checkpoints/synthetic.ts';

const wanted = [
  { key: 'stem.weight', shape: [8, 3, 3, 3] },
  { key: 'stem.bias', shape: [8] },
  { key: 'bn.num_batches_tracked', shape: [] },
  { key: 'head.weight', shape: [10, 8] },
  { key: 'head.bias', shape: [10] },
];

describe('matchWeights', () => {
  it('agrees with the same keys and shapes, counters of batches or not', () => {
    expect(matches(matchWeights(syntheticWeights(wanted), wanted))).toBe(true);
    const without = wanted.filter(({ key }) => !key.endsWith('tracked'));
    expect(matches(matchWeights(syntheticWeights(without), wanted))).toBe(true);
    expect(matches(matchWeights(syntheticWeights(wanted), without))).toBe(true);
  });

  it('finds what is missing, unexpected or of another shape', () => {
    const source = syntheticWeights([
      { key: 'stem.weight', shape: [8, 3, 5, 5] },
      { key: 'stem.bias', shape: [8] },
      { key: 'head.bias', shape: [] },
      { key: 'extra.weight', shape: [1] },
    ]);
    const match = matchWeights(source, wanted);
    expect(match).toEqual({
      missing: [{ key: 'head.weight', shape: [10, 8] }],
      unexpected: [{ key: 'extra.weight', shape: [1] }],
      mismatched: [
        { key: 'stem.weight', wanted: [8, 3, 3, 3], found: [8, 3, 5, 5] },
        { key: 'head.bias', wanted: [10], found: [] },
      ],
    });
    expect(matches(match)).toBe(false);
    expect(describeMatch(source, 'tiny', match)).toBe(
      'synthetic weights does not fit tiny: it lacks head.weight [10, 8]; it has the unexpected extra.weight [1]; ' +
        'it has other shapes: stem.weight [8, 3, 5, 5] instead of [8, 3, 3, 3], head.bias [] instead of [10]',
    );
  });

  it('names the first few and counts the rest', () => {
    const source = { ...syntheticWeights([]), name: 'a.pth' };
    expect(describeMatch(source, 'tiny', matchWeights(source, wanted))).toBe(
      'a.pth does not fit tiny: it lacks stem.weight [8, 3, 3, 3], stem.bias [8] and 2 more',
    );
  });
});
