import { expect, test } from 'vitest';

import { RandomStream } from '../../src/core/random.ts';

/** sfc32 as published, in exact integers. */
function* reference(a: bigint, b: bigint, c: bigint): Generator<number> {
  const word = (x: bigint): bigint => x & 0xffffffffn;
  for (let counter = 1n, i = 0; ; counter++, i++) {
    const sum = word(a + b + counter);
    a = b ^ (b >> 9n);
    b = word(c + (c << 3n));
    c = word(word((c << 21n) | (c >> 11n)) + sum);
    if (i >= 15) yield Number(sum);
  }
}

test('the bits of sfc32, seeded by its three words', () => {
  for (const [a, b, c] of [
    [0, 0, 0],
    [1, 2, 3],
    [0xffffffff, 0x80000000, 12345],
  ] as const) {
    const stream = new RandomStream(a, b, c);
    const wanted = reference(BigInt(a), BigInt(b), BigInt(c));
    for (let i = 0; i < 1000; i++) expect(stream.bits()).toBe(wanted.next().value);
  }
});

test('neighbouring seeds give unrelated numbers', () => {
  const first = (...seeds: [number, number, number]): number => new RandomStream(...seeds).bits();
  const all = new Set<number>();
  for (let i = 0; i < 20; i++) {
    for (let j = 0; j < 20; j++) for (let k = 0; k < 20; k++) all.add(first(i, j, k));
  }
  expect(all.size).toBeGreaterThan(7990); // of 8000, by chance 0.007 collide
});

test('uniform, whole and normal numbers have the moments that they should have', () => {
  const random = new RandomStream(7);
  const n = 40_000;
  const moments = (draw: () => number): [number, number] => {
    const values = Array.from({ length: n }, draw);
    const mean = values.reduce((sum, value) => sum + value, 0) / n;
    return [mean, values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / n];
  };
  const [uniform, spread] = moments(() => random.uniform(2, 4));
  expect(uniform).toBeCloseTo(3, 1.5);
  expect(spread).toBeCloseTo(1 / 3, 1.5);
  const [normal, variance] = moments(() => random.normal(1, 2));
  expect(Math.abs(normal - 1)).toBeLessThan(0.05);
  expect(Math.abs(variance - 4)).toBeLessThan(0.15);
  const counts = [0, 0, 0];
  for (let i = 0; i < n; i++) {
    const k = random.below(3);
    counts[k] = (counts[k] ?? NaN) + 1;
  }
  for (const count of counts) expect(Math.abs(count - n / 3)).toBeLessThan(500);
});

test('shuffling keeps what there is, and touches nothing else', () => {
  const values = new RandomStream(3).shuffle(
    Uint32Array.from({ length: 100 }, (_, i) => i),
    10,
    90,
  );
  expect([...values.subarray(0, 10)]).toEqual(Array.from({ length: 10 }, (_, i) => i));
  expect([...values.subarray(90)]).toEqual(Array.from({ length: 10 }, (_, i) => 90 + i));
  expect([...values].sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i));
  expect([...values]).not.toEqual([...values].sort((a, b) => a - b));
});

test.each([0, -1, 1.5, NaN, Infinity, 2 ** 33])('numbers below %d are refused', (count) => {
  expect(() => new RandomStream(1).below(count)).toThrow(`an integer from 1 to 2^32, got ${count}.`);
});
