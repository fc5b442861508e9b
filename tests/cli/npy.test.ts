import fc from 'fast-check';
import { expect, test } from 'vitest';

import { decodeNpy, encodeNpy } from '../../src/cli/npy.ts';
import { WidefieldError } from '../../src/core/errors.ts';

/** A file with this header and these numbers. */
function npy(header: string, numbers: ArrayBufferView, version = 1): Uint8Array {
  const length = version === 1 ? [header.length & 255, header.length >> 8] : [header.length & 255, 0, 0, 0];
  const start = [0x93, ...Buffer.from('NUMPY'), version, 0, ...length, ...Buffer.from(header, 'latin1')];
  const { buffer, byteOffset, byteLength } = numbers;
  return new Uint8Array([...start, ...new Uint8Array(buffer, byteOffset, byteLength)]);
}

function headerOf(descr: string, shape: string, fortran = 'False'): string {
  return `{'descr': '${descr}', 'fortran_order': ${fortran}, 'shape': (${shape}), }\n`;
}

test('what is written is read back', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 4 }), (shape) => {
      const count = shape.reduce((a, b) => a * b, 1);
      const values = Float32Array.from({ length: count }, (_, i) => i / 7 - 1);
      const bytes = encodeNpy({ shape, values });
      expect(decodeNpy(bytes, 'x.npy')).toEqual({ shape, values });
    }),
  );
});

test('the file is what NumPy writes', () => {
  const bytes = encodeNpy({ shape: [2], values: Float32Array.of(1, -2) });
  const text = Buffer.from(bytes).toString('latin1');
  expect(text.slice(0, 10)).toBe('\x93NUMPY\x01\x00v\x00');
  expect(text.slice(10, 127).trimEnd()).toBe("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }");
  expect(text.charAt(127)).toBe('\n');
  expect([...bytes.subarray(128)]).toEqual([0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0]);
});

test.each([
  ['float64', npy(headerOf('<f8', '3,'), Float64Array.of(0.1, -5, 1e300)), [Math.fround(0.1), -5, Infinity]],
  ['float16', npy(headerOf('<f2', '3,'), Uint16Array.of(0x3c00, 0xc500, 0x0001)), [1, -5, 2 ** -24]],
  ['big-endian', npy(headerOf('>f4', '1,'), Uint8Array.of(0x40, 0x40, 0, 0)), [3]],
  ['version 2', npy(headerOf('<f4', '1,'), Float32Array.of(3), 2), [3]],
])('%s', (_, bytes, values) => {
  expect([...decodeNpy(bytes, 'x.npy').values]).toEqual(values);
});

test('Fortran order', () => {
  // [[0, 1, 2], [10, 11, 12]], columns first.
  const bytes = npy(headerOf('<f4', '2, 3', 'True'), Float32Array.of(0, 10, 1, 11, 2, 12));
  expect(decodeNpy(bytes, 'x.npy')).toEqual({ shape: [2, 3], values: Float32Array.of(0, 1, 2, 10, 11, 12) });
});

const ONE = Float32Array.of(1);
test.each([
  ['nothing', new Uint8Array(), 'does not start'],
  ['another file', new TextEncoder().encode('{"hello": "world"}'), 'does not start'],
  ['a version that does not exist', npy(headerOf('<f4', '1,'), ONE, 9), 'version'],
  ['bytes instead of numbers', npy(headerOf('|u1', '1,'), Uint8Array.of(1)), '|u1'],
  ['a structured type', npy("{'descr': [('a', '<f4')], 'shape': (1,)}", ONE), 'header'],
  ['too few numbers', npy(headerOf('<f4', '2,'), ONE), 'should hold 8 bytes'],
  ['too many numbers', npy(headerOf('<f4', ''), Float32Array.of(1, 2)), 'should hold 4 bytes'],
  ['an absurd shape', npy(headerOf('<f4', '99999999, 99999999, 99999999'), ONE), 'header'],
  ['a negative extent', npy(headerOf('<f4', '-1,'), ONE), 'header'],
  ['an entry given twice', npy("{'shape': (1,), 'shape': (1,), 'descr': '<f4'}", ONE), 'header'],
  ['code', npy("__import__('os')", ONE), 'header'],
  ['a header beyond the file', npy('', ONE).with(8, 255), 'header does not fit'],
])('%s is refused in one sentence', (_, bytes, reason) => {
  expect(() => decodeNpy(bytes, 'x.npy')).toThrow(reason);
  expect(() => decodeNpy(bytes, 'x.npy')).toThrow(/^x\.npy .*\.$/);
});

test('damaged files are refused or read, never anything else', () => {
  const intact = encodeNpy({ shape: [2, 3], values: new Float32Array(6) });
  const damage = fc.record({
    at: fc.integer({ min: 0, max: 140 }),
    byte: fc.integer({ min: 0, max: 255 }),
    length: fc.integer({ min: 0, max: intact.length }),
  });
  fc.assert(
    fc.property(fc.array(damage, { maxLength: 4 }), (damages) => {
      const bytes = intact.slice(0, damages[0]?.length ?? intact.length);
      for (const { at, byte } of damages) if (at < bytes.length) bytes[at] = byte;
      try {
        const { shape, values } = decodeNpy(bytes, 'x.npy');
        expect(values).toHaveLength(shape.reduce((a, b) => a * b, 1));
      } catch (error) {
        expect(error).toBeInstanceOf(WidefieldError);
      }
    }),
    { numRuns: 2000 },
  );
});
