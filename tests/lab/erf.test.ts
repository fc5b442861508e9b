import { expect, test } from 'vitest';

import { analyseErf, areaRatios, logScores, squareShares } from '../../src/lab/erf.ts';
import type { ScoreMap } from '../../src/lab/erf.ts';

function mapOf(height: number, width: number, scoreAt: (y: number, x: number) => number): ScoreMap {
  const scores = Float64Array.from({ length: height * width }, (_, i) =>
    scoreAt(Math.floor(i / width), i % width),
  );
  return { height, width, scores };
}

/** The error function, by the series of its integral. */
function erf(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

test('the logarithm makes the largest score 1', () => {
  const heat = logScores({ height: 1, width: 3, scores: [0, 9, 99] });
  expect([...heat]).toEqual([0, 0.5, 1]);
});

test('shares of a Gaussian are products of error functions', () => {
  const sigma = 12;
  const size = 201;
  const map = mapOf(size, size, (y, x) => Math.exp(-((y - 100) ** 2 + (x - 100) ** 2) / (2 * sigma ** 2)));
  const shares = squareShares(map);
  expect(shares).toHaveLength(101);
  for (const i of [0, 3, 10, 20, 40]) {
    // A square of side 2i + 1, whose pixels are one wide: half of it is i + ½.
    const expected = erf((i + 0.5) / (sigma * Math.SQRT2)) ** 2;
    expect(shares[i]).toBeCloseTo(expected, 3);
  }
  for (const { threshold, side } of areaRatios(map, shares, [0.2, 0.5, 0.9])) {
    const reach = (pixels: number): number => erf(pixels / 2 / (sigma * Math.SQRT2)) ** 2;
    expect(reach(side)).toBeGreaterThan(threshold - 1e-3);
    expect(reach(side - 2)).toBeLessThan(threshold + 1e-3);
  }
});

test('where scores are all alike, the ratio is the threshold, and the whole map holds all', () => {
  const { ratios, heat } = analyseErf(
    mapOf(101, 101, () => 3),
    [0.25, 0.5, 1],
  );
  expect(new Set(heat)).toEqual(new Set([1]));
  // 51² of 101² pixels are the first square that holds a quarter; 73² the first that holds half.
  expect(ratios).toEqual([
    { threshold: 0.25, side: 51, ratio: (51 / 101) ** 2 },
    { threshold: 0.5, side: 73, ratio: (73 / 101) ** 2 },
    { threshold: 1, side: 101, ratio: 1 },
  ]);
});

test('one pixel in the centre is a square of side 1, of even sizes the one behind the middle', () => {
  for (const size of [7, 8]) {
    const centre = Math.floor(size / 2);
    const { ratios } = analyseErf(mapOf(size, size, (y, x) => (y === centre && x === centre ? 5 : 0)));
    expect(ratios.map(({ side }) => side)).toEqual([1, 1, 1, 1]);
    expect(ratios[0]?.ratio).toBe(1 / size ** 2);
  }
});

test('turned and mirrored maps have the same ratios', () => {
  const map = mapOf(31, 31, (y, x) => ((7 * y + 3 * x) % 11) / (1 + Math.hypot(y - 15, x - 15)));
  const at = (y: number, x: number): number => map.scores[31 * y + x] ?? 0;
  const { ratios } = analyseErf(map);
  expect(analyseErf(mapOf(31, 31, (y, x) => at(30 - y, x))).ratios).toEqual(ratios);
  expect(analyseErf(mapOf(31, 31, (y, x) => at(x, 30 - y))).ratios).toEqual(ratios);
});

test('squares stick out of maps that are not square', () => {
  const shares = squareShares(mapOf(3, 9, () => 1));
  expect([...shares].map((share) => Math.round(share * 27))).toEqual([1, 9, 15, 21, 27]);
  const [whole] = areaRatios({ height: 3, width: 9 }, shares, [1]);
  expect(whole).toEqual({ threshold: 1, side: 9, ratio: 1 });
});

test('what is no map of scores is refused', () => {
  expect(() => analyseErf(mapOf(5, 5, () => 0))).toThrow('No pixel contributes');
  expect(() => analyseErf(mapOf(5, 5, (y) => (y === 2 ? NaN : 1)))).toThrow('got NaN');
  expect(() => analyseErf(mapOf(5, 5, (y) => y - 2))).toThrow('not negative, got -2');
  expect(() => analyseErf({ height: 5, width: 5, scores: [1] })).toThrow('25 scores, but 1 are given');
  expect(() =>
    analyseErf(
      mapOf(5, 5, () => 1),
      [0],
    ),
  ).toThrow('above 0 and up to 1');
});
