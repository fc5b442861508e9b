import { expect, test } from 'vitest';

import { nearestNames } from '../../src/core/nearest.ts';

test.each([
  ['A5000', ['a5000']],
  ['a100 80gb', ['a100-80gb']],
  ['h10', ['h100']],
])('%s means %j', (name, expected) => {
  expect(nearestNames(name, ['a5000', 'a100', 'a100-80gb', 'h100'])).toEqual(expected);
});

test('a name of any length costs no more than one of a few words', () => {
  const begin = performance.now();
  expect(nearestNames('a100'.repeat(2_000_000), ['a100', 'b'])).toEqual(['a100']);
  expect(performance.now() - begin).toBeLessThan(100);
});

test('at most three of those that are equally near', () => {
  expect(nearestNames('x', ['a', 'b', 'c', 'd'])).toEqual(['a', 'b', 'c']);
});
