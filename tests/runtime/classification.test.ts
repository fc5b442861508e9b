import { expect, test } from 'vitest';

import { classify } from '../../src/runtime/classification.ts';

const LABELS = ['a', 'b', 'c', 'd'];

test('the likeliest classes come first, with the softmax of all', () => {
  const logits = Float32Array.of(0, Math.fround(Math.log(3)), -1000, Math.fround(Math.log(4)));
  const result = classify(logits, LABELS, 2);
  expect(result.map(({ label, index }) => [label, index])).toEqual([
    ['d', 3],
    ['b', 1],
  ]);
  expect(result[0]?.probability).toBeCloseTo(4 / 8, 7);
  expect(result[1]?.probability).toBeCloseTo(3 / 8, 7);
  expect(result[0]?.logit).toBe(logits[3]);
});

test('large logits do not overflow, and probabilities add up to 1', () => {
  const all = classify(Float32Array.of(3e38, 3e38, -3e38, 0), LABELS, 10);
  expect(all.map(({ probability }) => probability)).toEqual([0.5, 0.5, 0, 0]);
  const random = classify(
    Float32Array.from({ length: 1000 }, (_, i) => 10 * Math.sin(i)),
    Array.from({ length: 1000 }, (_, i) => `${i}`),
    1000,
  );
  expect(random.reduce((sum, { probability }) => sum + probability, 0)).toBeCloseTo(1, 12);
});

test('equal classes keep their order', () => {
  expect(classify(Float32Array.of(1, 2, 2, 1), LABELS, 4).map(({ index }) => index)).toEqual([1, 2, 0, 3]);
});

test('what cannot be classified is refused', () => {
  expect(() => classify(Float32Array.of(1, NaN, 0, 0), LABELS, 1)).toThrow(/logit of b is NaN/);
  expect(() => classify(Float32Array.of(1, Infinity, 0, 0), LABELS, 1)).toThrow(/Infinity/);
  expect(() => classify(Float32Array.of(1, 2), LABELS, 1)).toThrow(/2 logits but 4 labels/);
  expect(() => classify(Float32Array.of(1, 2, 3, 4), LABELS, 0)).toThrow(/positive integer/);
});
