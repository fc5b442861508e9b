import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { Device } from '../../src/devices/device.ts';
import { openWasmDevice } from '../../src/devices/wasm.ts';
import { candidates } from '../../src/kernels/index.ts';
import { reference } from '../../src/graph/reference.ts';
import { createOp } from '../../src/runtime/op.ts';
import { product, randomWeights } from '../support/small-problems.ts';

let device: Device;
beforeAll(async () => {
  device = await openWasmDevice({ threads: 1 });
});
afterAll(() => device.dispose());

const weights = randomWeights(product);

test('an op computes, and its memory is where inputs go and outputs come from', async () => {
  await using op = await createOp(device, product, weights);
  op.input().fill(0.5);
  await op.run();
  const expected = reference(product, { x: op.input() }, weights);
  op.output.forEach((value, i) => {
    expect(value).toBeCloseTo(expected[i] ?? NaN, 4);
  });
  expect(op.config).toMatch(/^pointwise lanes=4 /);
  expect((await op.profile()).map(({ label }) => label)).toEqual(['pointwise']);
  expect(() => op.input('gate')).toThrow('This pointwise has no tensor gate: x, y.');
});

describe('errors of an op', () => {
  const { weight, ...noWeight } = weights;
  test.each([
    ['a missing weight', noWeight, 'The weight weight must have 512 values [32, 16], got none.'],
    [
      'a weight of the wrong size',
      { ...weights, bias: new Float32Array(31) },
      'The weight bias must have 32 values [32], got 31.',
    ],
    [
      'a weight of wide floats',
      { ...weights, bias: new Float64Array(32) },
      'The weight bias must be a Float32Array, got a Float64Array: convert it with Float32Array.from.',
    ],
    [
      'a weight in an array',
      { ...weights, bias: Array(32).fill(0) },
      'The weight bias must be a Float32Array, got an Array: convert it with Float32Array.from.',
    ],
    [
      'no weights',
      undefined,
      'createOp needs weights by name: give { NAME: Float32Array, … }, or {} for an op that has none.',
    ],
    ['a stray weight', { ...weights, gamma: weight ?? new Float32Array() }, 'This op has no weight gamma.'],
  ])('%s', async (_, given, message) => {
    await expect(createOp(device, product, given as typeof weights)).rejects.toMatchObject({
      code: 'invalid-argument',
      message,
    });
  });

  test('a candidate for another problem', async () => {
    const [own] = candidates({ ...product }, device.caps);
    await (await createOp(device, product, weights, { ...(own && { candidate: own }) })).dispose();
    const [candidate] = candidates({ ...product, rows: 2 * product.rows }, device.caps);
    await expect(
      createOp(device, product, weights, { ...(candidate && { candidate }) }),
    ).rejects.toMatchObject({
      code: 'invalid-argument',
      message: 'This candidate computes another problem: take one of candidates(problem, device.caps).',
    });
  });

  test.each([
    ['no rows', { rows: 0 }, 'rows'],
    ['half an input', { inputs: 1.5 }, 'inputs'],
    ['not a number', { outputs: NaN }, 'outputs'],
    ['a pitch below its channels', { inputPitch: 8 }, 'pitch'],
  ])('an impossible shape: %s', async (_, changes, named) => {
    await expect(createOp(device, { ...product, ...changes }, weights)).rejects.toMatchObject({
      code: 'invalid-argument',
      message: expect.stringContaining(named) as string,
    });
  });
});
