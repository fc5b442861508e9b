import { expect, test } from 'vitest';

import { NO_EPILOGUE } from '../../src/kernels/problem.ts';
import { signature } from '../../src/kernels/signature.ts';

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

test('tensors beyond 32-bit indices are refused by name', () => {
  expect(() => signature({ ...product, rows: 2 ** 40 })).toThrow(
    /tensor y would have 1099511627776 × 8 floats/,
  );
});

test('fields that are no positive integers are named', () => {
  expect(() => signature({ ...product, inputs: 0 })).toThrow(/inputs of a pointwise .* got 0/);
  expect(() => signature({ ...product, rows: 1.5 })).toThrow(/rows of a pointwise .* got 1.5/);
});
