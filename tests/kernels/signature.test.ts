import { expect, test } from 'vitest';

import { candidates } from '../../src/kernels/index.ts';
import { NO_EPILOGUE, samePadding } from '../../src/kernels/problem.ts';
import type { Problem } from '../../src/kernels/problem.ts';
import { encode, signature } from '../../src/kernels/signature.ts';
import { interpreterCaps } from '../support/kernel-harness.ts';

const product = {
  op: 'pointwise',
  rows: 3,
  inputs: 5,
  outputs: 7,
  inputPitch: 8,
  outputPitch: 8,
  epilogue: NO_EPILOGUE,
} as const;

test('cost counts each multiply-add once and each element once', () => {
  const { cost } = signature(product);
  expect(cost).toEqual({ macs: 3 * 5 * 7, bytes: 4 * (3 * 5 + 3 * 7 + 5 * 7), depth: 5 });
});

test('tensors beyond 32-bit indices have a cost, but no kernel: they are refused by name', () => {
  const long = { ...product, rows: 2 ** 40 };
  expect(signature(long).cost.macs).toBe(2 ** 40 * 5 * 7);
  expect(() => candidates(long, interpreterCaps([4]))).toThrow(
    /tensor y would have 1099511627776 × 8 floats/,
  );
});

test('fields that are no positive integers are named', () => {
  expect(() => signature({ ...product, inputs: 0 })).toThrow(/inputs of a pointwise .* got 0/);
  expect(() => signature({ ...product, rows: 1.5 })).toThrow(/rows of a pointwise .* got 1.5/);
});

test('weights beyond 32-bit indices likewise', () => {
  const wide = { ...product, inputs: 65536, outputs: 65536, inputPitch: 65536, outputPitch: 65536 };
  expect(signature(wide).cost.macs).toBe(3 * 2 ** 32);
  expect(() => candidates(wide, interpreterCaps([4]))).toThrow(/weight would have 65536 × 65536 floats/);
});

const map = { batch: 1, height: 4, width: 4, channels: 8, pitch: 8 };
const window = { kernelHeight: 3, kernelWidth: 3, stride: 1, dilation: 1, padding: samePadding(3, 3) };
const depthwise = { op: 'depthwise', ...map, ...window, epilogue: NO_EPILOGUE };
const mbconv = {
  ...{ op: 'mbconv', ...map, ...window, hidden: 8, outputs: 8, groups: 8, inputPitch: 8, outputPitch: 8 },
  spatial: { bias: false, activation: 'silu' },
  epilogue: NO_EPILOGUE,
};

// What TypeScript would not let pass.
test.each([
  [{ ...product, inputPitch: undefined }, /pitch of x must be a positive integer, got undefined/],
  [{ ...product, rows: '8' }, /rows of y must be a positive integer, got 8/],
  [{ ...product, epilogue: { ...NO_EPILOGUE, activation: 'swish' } }, /no activation swish: use one of none/],
  [{ op: 'batch-norm', ...map, rows: 2, epsilon: 0, activation: 'swish' }, /no activation swish/],
  [{ op: 'elementwise', ...map, rows: 2, steps: [{ kind: 'activation', activation: 'swish' }] }, /swish/],
  [{ ...mbconv, spatial: { bias: false } }, /no activation undefined/],
  [{ ...mbconv, expand: { bias: true, activation: 'swish' } }, /no activation swish/],
  [{ ...mbconv, squeeze: { channels: 2, activation: 'swish' } }, /no activation swish/],
  [{ ...depthwise, epilogue: undefined }, /A depthwise needs an epilogue: NO_EPILOGUE/],
  [
    { ...depthwise, stride: undefined },
    /The stride of a depthwise must be a positive integer, got undefined/,
  ],
  [{ ...depthwise, kernelWidth: '3' }, /The kernelWidth of a depthwise must be a positive integer, got 3/],
  [{ ...depthwise, op: 'pool', kind: 'avg' }, /The kind of a pool must be 'max' or 'average', got avg/],
  [{ ...depthwise, padding: undefined }, /top padding of a depthwise must be 0 or more, got undefined/],
  [{ op: 'softmax', rows: 2 }, /channels of x must be a positive integer, got undefined/],
  [{ op: 'layer-norm', rows: 2, channels: 8, pitch: 8, affine: true, epsilon: NaN }, /epsilon .* got NaN/],
  [
    { op: 'channel-slice', rows: 2, inputs: 6, inputPitch: 8, outputPitch: 8, range: [0, 12] },
    /within its 6 channels, got 0 to 12/,
  ],
  [{ op: 'concat', rows: 2, channels: [], pitches: [], outputPitch: 8 }, /at least one input/],
  [
    {
      ...{ op: 'resize', ...map, height: 1, width: 65521 },
      ...{ outHeight: 1, outWidth: 65519, alignCorners: false },
    },
    /larger whole numbers than kernels have/,
  ],
  [{ op: 'conv2d' }, /There is no op conv2d/],
] as const)('%j is refused', (problem, message) => {
  expect(() => signature(problem as unknown as Problem)).toThrow(message);
});

test('fields that are undefined are no part of the key', () => {
  expect(encode({ ...product, adjoint: undefined } as unknown as Problem)).toBe(encode(product));
});
