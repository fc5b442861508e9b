import { describe, expect, it } from 'vitest';

import { DTYPE_BYTES, fromFloat32, toFloat32 } from '../../src/checkpoints/dtype.ts';
import {
  bfloat16ToFloat32,
  float16ToFloat32,
  float32ToBfloat16,
  float32ToFloat16,
} from '../../src/checkpoints/half.ts';
import { fixtureBytes } from './fixtures.ts';

const ALL = Uint16Array.from({ length: 2 ** 16 }, (_, i) => i);

/** The value of a 16-bit float by its definition. */
function define(bits: number, exponentBits: number): number {
  const fractionBits = 15 - exponentBits;
  const bias = 2 ** (exponentBits - 1) - 1;
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits & 0x7fff) >> fractionBits;
  const fraction = (bits & (2 ** fractionBits - 1)) / 2 ** fractionBits;
  if (exponent === 2 ** exponentBits - 1) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * fraction * 2 ** (1 - bias) : sign * (1 + fraction) * 2 ** (exponent - bias);
}

describe.each([
  { name: 'float16', exponentBits: 5, widen: float16ToFloat32, narrow: float32ToFloat16 },
  { name: 'bfloat16', exponentBits: 8, widen: bfloat16ToFloat32, narrow: float32ToBfloat16 },
])('$name', ({ name, exponentBits, widen, narrow }) => {
  it('widens all 65536 numbers by the definition', () => {
    const widened = widen(ALL);
    expect(ALL.findIndex((bits) => !Object.is(widened[bits], define(bits, exponentBits)))).toBe(-1);
  });

  it('narrows them back to the same bits; NaNs may become quiet', () => {
    const quiet = 1 << (14 - exponentBits);
    const back = ALL.map((bits) => (Number.isNaN(define(bits, exponentBits)) ? bits | quiet : bits));
    expect(firstDifference(narrow(widen(ALL)), back)).toBe(-1);
  });

  it('narrows as PyTorch does: to nearest, ties to even, in every binade', () => {
    const bytes = fixtureBytes('halves.bin');
    const count = bytes.length / 8;
    const values = new Float32Array(bytes.slice(0, 4 * count).buffer);
    const offset = (name === 'float16' ? 4 : 6) * count;
    const expected = new Uint16Array(bytes.slice(offset, offset + 2 * count).buffer);
    expect(count).toBeGreaterThan(10_000);
    expect(firstDifference(narrow(values), expected)).toBe(-1);
  });

  it('narrows to the nearest of the two neighbours, for halfway points and beside them', () => {
    const positive = ALL.subarray(0, ((2 ** exponentBits - 1) << (15 - exponentBits)) - 1);
    const wrong = positive.find((bits) => {
      const low = define(bits, exponentBits);
      const middle = (low + define(bits + 1, exponentBits)) / 2;
      const even = bits % 2 === 0 ? bits : bits + 1;
      const values = Float32Array.of(low, below(middle), middle, above(middle), -middle);
      return firstDifference(narrow(values), Uint16Array.of(bits, bits, even, bits + 1, even | 0x8000)) >= 0;
    });
    expect(wrong).toBeUndefined();
  });
});

it('stores and reads float16 and bfloat16 as little-endian bytes', () => {
  const values = Float32Array.of(1, -2, 0.5);
  expect([...fromFloat32(values, 'float16')]).toEqual([0x00, 0x3c, 0x00, 0xc0, 0x00, 0x38]);
  expect([...fromFloat32(values, 'bfloat16')]).toEqual([0x80, 0x3f, 0x00, 0xc0, 0x00, 0x3f]);
  expect(toFloat32(Uint8Array.of(0x3c, 0x00), 'float16', false)).toEqual(Float32Array.of(1));
});

it.each([
  ['int64', [-1, 3, 0], [-(2 ** 40), 7]],
  ['int32', [-1, 3, 0], [-(2 ** 31), 7]],
  ['int16', [-1, 3, 0], [-(2 ** 15), 7]],
  ['int8', [-1, 3, 0], [-128, 127]],
  ['uint8', [1, 3, 0], [0, 255]],
  ['bool', [1, 1, 1], [0, 1]],
  ['float64', [-1.25, 2.75, 0.25], [2 ** 100, -(2 ** -100)]],
] as const)('stores numbers as %s', (dtype, rounded, exact) => {
  const [a, b, c] = dtype === 'uint8' || dtype === 'bool' ? [1.25, 2.75, 0.25] : [-1.25, 2.75, 0.25];
  const values = Float32Array.of(a, b, c, ...exact);
  const bytes = fromFloat32(values, dtype);
  expect(bytes).toHaveLength(5 * DTYPE_BYTES[dtype]);
  expect(toFloat32(bytes, dtype)).toEqual(Float32Array.of(...rounded, ...exact));
});

it('looks at aligned float32 without copying it', () => {
  const bytes = new Uint8Array(16);
  expect(toFloat32(bytes.subarray(4), 'float32').buffer).toBe(bytes.buffer);
  expect(toFloat32(bytes.subarray(3, 11), 'float32').buffer).not.toBe(bytes.buffer);
});

/** Where two arrays first differ, -1 if they do not: quicker for many numbers than toEqual. */
function firstDifference(a: Uint16Array, b: Uint16Array): number {
  return a.length === b.length ? a.findIndex((value, i) => value !== b[i]) : 0;
}

function below(value: number): number {
  return step(value, -1);
}

function above(value: number): number {
  return step(value, 1);
}

/** The neighbour of a positive float32. */
function step(value: number, by: 1 | -1): number {
  const float = Float32Array.of(value);
  const bits = new Uint32Array(float.buffer);
  bits[0] = (bits[0] ?? 0) + by;
  return float[0] ?? 0;
}
