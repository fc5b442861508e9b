import { readdir } from 'node:fs/promises';

import { InferenceSession, Tensor } from 'onnxruntime-node';
import { expect, test } from 'vitest';

import { syntheticWeights } from '../../src/checkpoints/synthetic.ts';
import { parametersOf } from '../../src/graph/graph.ts';
import { buildModel } from '../../src/models/zoo.ts';
import { createModel } from '../../src/runtime/model.ts';
import { widefield } from '../support/command-line.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const inFolder = temporaryFolder();

test('ONNX Runtime computes what Widefield computes', async () => {
  const file = inFolder('m.onnx');
  const args = ['--weights', 'synthetic', '--resolution', '32', '--json'];
  const { code, out, err } = await widefield('export', 'mobilenet-v2', file, ...args);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(JSON.parse(out)).toMatchObject({ model: 'mobilenet-v2', output: file, opset: 17 });

  // One value for all pixels of a channel, so that the layout does not matter here; batch 2, since it is free.
  const colours = [0.5, -0.25, 1, -1, 0.75, 0.1];
  const nchw = Float32Array.from({ length: 6 * 1024 }, (_, i) => colours[Math.floor(i / 1024)] ?? 0);
  const nhwc = nchw.map((_, i) => colours[3 * Math.floor(i / 3072) + (i % 3)] ?? 0);
  const session = await InferenceSession.create(file);
  const { logits } = await session.run({ input: new Tensor('float32', nchw, [2, 3, 32, 32]) });
  await session.release();
  expect(logits?.dims).toEqual([2, 1000]);
  const model = await createModel('mobilenet-v2', {
    weights: syntheticWeights(parametersOf(buildModel('mobilenet-v2'))),
    device: 'wasm',
    resolution: 32,
  });
  try {
    const own = await model.run(nhwc);
    const largest = Math.max(...own.map(Math.abs));
    own.forEach((value, i) => {
      expect(Math.abs(value - Number(logits?.data[i]))).toBeLessThan(1e-4 * largest);
    });
  } finally {
    await model.dispose();
  }
});

test.each([
  [['missing/m.onnx'], 1, 'cannot be written'],
  [['model.safetensors'], 2, 'ends in .onnx'],
  [['m2.onnx', '--opset', '3'], 1, 'opset'],
  [['m2.onnx', '--weights', 'missing.pth'], 1, 'missing.pth'],
])('%j fails in one line and leaves nothing', async ([output = '', ...args], code, hint) => {
  const before = await readdir(inFolder());
  const outcome = await widefield(
    'export',
    'mobilenet-v2',
    inFolder(output),
    '--weights',
    'synthetic',
    ...args,
  );
  expect({ code: outcome.code, out: outcome.out }).toEqual({ code, out: '' });
  expect(outcome.err).toContain(hint);
  expect(outcome.err.trim().split('\n')).toHaveLength(1);
  expect(await readdir(inFolder())).toEqual(before);
});
