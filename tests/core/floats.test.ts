import { runInNewContext } from 'node:vm';

import { describe, expect, test } from 'vitest';

import { checkFloats } from '../../src/core/floats.ts';

const check = (values: unknown, forBytes?: string): void => checkFloats(values, 'The input', forBytes);

describe('floats', () => {
  class Own extends Float32Array {}
  test.each<[string, unknown]>([
    ['of this realm', new Float32Array(2)],
    ['of another', runInNewContext('new Float32Array(2)')],
    ['of a class of their own', new Own(2)],
    ['over shared memory', new Float32Array(new SharedArrayBuffer(8))],
    ['none', new Float32Array()],
  ])('%s', (_, values) => {
    expect(() => check(values)).not.toThrow();
  });
});

describe('no floats, and what came', () => {
  test.each<[unknown, string]>([
    [new Float64Array(2), 'a Float64Array: convert it with Float32Array.from.'],
    [new Uint16Array(2), 'a Uint16Array: convert it with Float32Array.from.'],
    [new Int8Array(2), 'an Int8Array: convert it with Float32Array.from.'],
    [[1, 2], 'an Array: convert it with Float32Array.from.'],
    [runInNewContext('[1, 2]'), 'an Array: convert it with Float32Array.from.'],
    [new Uint8Array(2), 'a Uint8Array: normalise.'],
    [Buffer.alloc(2), 'a Uint8Array: normalise.'],
    [new Uint8ClampedArray(2), 'a Uint8ClampedArray: normalise.'],
    [new Float32Array(2).buffer, 'an ArrayBuffer.'],
    [{ 0: 1, length: 1 }, 'an Object.'],
    ['cat.jpg', 'a string.'],
    [1, 'a number.'],
    [null, 'null.'],
    [undefined, 'nothing.'],
  ])('%j', (values, got) => {
    const code = 'invalid-argument';
    const message = `The input must be a Float32Array, got ${got}`;
    expect(() => check(values, 'normalise')).toThrow(expect.objectContaining({ code, message }) as Error);
  });
});
