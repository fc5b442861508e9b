import { expect, test } from 'vitest';

import { asImages, inputResolution } from '../../src/cli/run-input.ts';
import { syntheticInput } from '../../src/checkpoints/synthetic.ts';

function array(...shape: number[]) {
  return { shape, values: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => i) };
}

test('channels last is taken as it is', () => {
  const batch = array(2, 4, 5, 3);
  expect(asImages(batch, 'x.npy')).toEqual({ shape: [2, 4, 5, 3], values: batch.values });
  expect(asImages(array(4, 5, 3), 'x.npy').shape).toEqual([1, 4, 5, 3]);
});

test('channels first is turned round', () => {
  // [3, 1, 2]: red 0 1, green 2 3, blue 4 5.
  expect(asImages(array(3, 1, 2), 'x.npy')).toEqual({
    shape: [1, 1, 2, 3],
    values: Float32Array.of(0, 2, 4, 1, 3, 5),
  });
  const { shape, values } = asImages(array(2, 3, 4, 5), 'x.npy');
  expect(shape).toEqual([2, 4, 5, 3]);
  expect(values[((1 * 4 + 2) * 5 + 3) * 3 + 1]).toBe(((1 * 3 + 1) * 4 + 2) * 5 + 3);
});

test('the synthetic input is the same in both layouts', () => {
  const nhwc = syntheticInput([2, 3, 4, 5]);
  const nchw = new Float32Array(nhwc.length);
  for (let i = 0; i < nhwc.length; i++) {
    const [c, pixel, n] = [i % 3, Math.floor(i / 3) % 20, Math.floor(i / 60)];
    nchw[(n * 3 + c) * 20 + pixel] = nhwc[i] ?? NaN;
  }
  expect(asImages({ shape: [2, 3, 4, 5], values: nchw }, 'x.npy').values).toEqual(nhwc);
});

test('an array that may be either needs to be told', () => {
  const both = array(1, 3, 8, 3);
  expect(() => asImages(both, 'x.npy')).toThrow('--layout nhwc or nchw');
  expect(asImages(both, 'x.npy', 'nhwc').shape).toEqual([1, 3, 8, 3]);
  expect(asImages(both, 'x.npy', 'nchw').shape).toEqual([1, 8, 3, 3]);
});

test.each([
  [array(8, 8), undefined],
  [array(8, 8, 4), undefined],
  [array(1, 1, 8, 8, 3), undefined],
  [array(0, 8, 8, 3), undefined],
  [array(1, 8, 8, 3), 'nchw' as const],
])('%j is no batch of images', (value, layout) => {
  expect(() => asImages(value, 'x.npy', layout)).toThrow(/^x\.npy has the shape \[[\d, ]+\]: .*\.$/);
});

test('the resolution follows an array', () => {
  const input = { kind: 'array', tensor: asImages(array(4, 5, 3), 'x.npy') } as const;
  expect(inputResolution(input, undefined)).toEqual([4, 5]);
  expect(inputResolution(input, [4, 5])).toEqual([4, 5]);
  expect(() => inputResolution(input, 224)).toThrow('4×5 pixels, not 224×224');
  expect(inputResolution({ kind: 'synthetic' }, 64)).toBe(64);
});
