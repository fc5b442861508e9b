import { expect, test } from 'vitest';

import { depthwiseCase, pointwiseCase } from '../../src/bench/case.ts';
import type { BenchCase } from '../../src/bench/case.ts';
import { MAX_RELATIVE_ERROR, expectation, maxRelativeError, sample } from '../../src/bench/verify.ts';
import { reference } from '../../src/graph/reference.ts';

function wholeReference({ problem, input, weight }: BenchCase): Float64Array {
  return reference(problem, { x: input }, { weight });
}

test.each([
  ['a map smaller than the kernel', depthwiseCase([2, 4, 5, 3], { height: 7, width: 7 })],
  ['a rectangle', depthwiseCase([1, 9, 6, 4], { height: 5, width: 3 })],
  ['an even kernel', depthwiseCase([1, 6, 7, 5], { height: 4, width: 2 })],
  ['more than the sample', depthwiseCase([2, 13, 11, 24], { height: 3, width: 5 })],
  ['a matrix product', pointwiseCase(7, 5, 3)],
  ['a large matrix product', pointwiseCase(90, 17, 70)],
])('the expectation is the reference, at some positions: %s', (_name, test) => {
  const { indices, values } = expectation(test);
  const whole = wholeReference(test);
  expect(indices).toHaveLength(Math.min(whole.length, 4096));
  indices.forEach((index, i) => {
    expect(values[i]).toBeCloseTo(whole[index] ?? NaN, 12);
  });
  expect(maxRelativeError(Float32Array.from(whole), { indices, values })).toBeLessThan(1e-7);
});

test('where zeros are expected, zeros have no error and anything else an infinite one', () => {
  const zeros = { indices: [0, 1], values: new Float64Array(2) };
  expect(maxRelativeError(new Float32Array(2), zeros)).toBe(0);
  expect(maxRelativeError(Float32Array.of(0, 1e-9), zeros)).toBe(Infinity);
});

test('outputs keep the size of the map and are of order 1', () => {
  const test = depthwiseCase([1, 20, 20, 8], { height: 7, width: 7 });
  const whole = wholeReference(test);
  expect(whole).toHaveLength(test.input.length);
  const power = whole.reduce((sum, y) => sum + y * y, 0) / whole.length;
  expect(Math.sqrt(power)).toBeGreaterThan(0.3);
  expect(Math.sqrt(power)).toBeLessThan(1);
});

test('the sample holds all corners, is sorted and has no repetitions', () => {
  const shape = [3, 40, 50, 16];
  const indices = sample(shape);
  expect(indices).toHaveLength(4096);
  expect([...new Set(indices)].sort((a, b) => a - b)).toEqual(indices);
  expect(indices.at(-1)).toBe(3 * 40 * 50 * 16 - 1);
  const last = (axis: number): number => (shape[axis] ?? 0) - 1;
  for (const n of [0, last(0)]) {
    for (const y of [0, last(1)]) {
      for (const x of [0, last(2)]) {
        for (const c of [0, last(3)]) expect(indices).toContain(((n * 40 + y) * 50 + x) * 16 + c);
      }
    }
  }
});

test('errors are found: one wrong element, one missing, one not a number', () => {
  const test = depthwiseCase([1, 8, 8, 4], { height: 3, width: 3 });
  const expected = expectation(test);
  const output = Float32Array.from(wholeReference(test));
  const spoil = (value: number): Float32Array => output.map((y, i) => (i === 100 ? value : y));
  expect(maxRelativeError(output, expected)).toBeLessThan(MAX_RELATIVE_ERROR);
  // As if products had lost half of their digits.
  const largest = Math.max(...output.map(Math.abs));
  const wrong = spoil((output[100] ?? 0) + largest * 2 ** -11);
  expect(maxRelativeError(wrong, expected)).toBeGreaterThan(MAX_RELATIVE_ERROR);
  expect(maxRelativeError(spoil(NaN), expected)).toBe(Infinity);
  expect(maxRelativeError(spoil(Infinity), expected)).toBe(Infinity);
  expect(maxRelativeError(output.subarray(0, 200), expected)).toBe(Infinity);
});
