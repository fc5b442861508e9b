import * as ort from 'onnxruntime-node';
import { PbfReader } from 'pbf';
import { expect, test } from 'vitest';

import { encodeModel } from '../../../src/checkpoints/onnx/model.ts';

const model = encodeModel({
  nodes: [
    { operator: 'Conv', inputs: ['x', 'w'], outputs: ['c'], attributes: { group: 3, pads: [1, 2, 1, 2] } },
    { operator: 'Relu', inputs: ['c'], outputs: ['y'] },
  ],
  inputs: [{ name: 'x', shape: [1, 3, 4, 4] }],
  outputs: [{ name: 'y', shape: [1, 3, 4, 6] }],
  initializers: [
    { name: 'w', shape: [3, 1, 3, 3], values: Float32Array.from({ length: 27 }, (_, i) => i / 8) },
  ],
});

test('the bytes are those of onnx.proto: versions, two nodes, the weights', () => {
  const fields = new Map<number, number>();
  new PbfReader(model).readFields((tag) => {
    fields.set(tag, (fields.get(tag) ?? 0) + 1);
  }, undefined);
  expect([...fields.keys()].sort((a, b) => a - b)).toEqual([1, 2, 7, 8]);
  expect(Buffer.from(model).includes(Buffer.from(Float32Array.from([0, 1 / 8, 2 / 8]).buffer))).toBe(true);
});

test('onnxruntime loads and runs it', async () => {
  const session = await ort.InferenceSession.create(model);
  expect(session.inputNames).toEqual(['x']);
  const x = new ort.Tensor('float32', new Float32Array(48).fill(1), [1, 3, 4, 4]);
  const { y } = await session.run({ x });
  expect(y?.dims).toEqual([1, 3, 4, 6]);
  // Away from the padding, an output is the sum of its channel's weights.
  const sums = [0, 1, 2].map((c) =>
    Array.from({ length: 9 }, (_, i) => (9 * c + i) / 8).reduce((a, b) => a + b),
  );
  expect([0, 1, 2].map((c) => (y?.data as Float32Array)[(c * 4 + 1) * 6 + 2])).toEqual(sums);
  await session.release();
});
