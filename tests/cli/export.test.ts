import { readdir, writeFile } from 'node:fs/promises';

import { InferenceSession, Tensor } from 'onnxruntime-node';
import { expect, test } from 'vitest';

import { relativeError } from '../../src/bench/verify-model.ts';
import { syntheticInput } from '../../src/checkpoints/synthetic.ts';
import { modelOf } from '../../src/cli/model-file.ts';
import { Random } from '../../src/core/random.ts';
import { elements } from '../../src/graph/graph.ts';
import { createModel } from '../../src/runtime/model.ts';
import { widefield } from '../support/command-line.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { networkTolerance } from '../support/tolerance.ts';

const inFolder = temporaryFolder();

/** A network of one's own as `model.json` has it, in a file. */
async function ownNetwork(model: object): Promise<string> {
  const photos = { resize: 40, interpolation: 'bicubic', mean: [0, 0, 0], std: [1, 1, 1] };
  const classes = ['ant', 'bee', 'cat'];
  const file = inFolder('own.json');
  await writeFile(
    file,
    JSON.stringify({ model: { name: 'own', ...model }, classes, resolution: 40, photos }),
  );
  return file;
}

const REPLKNET = {
  family: 'replknet',
  kernels: [13, 9, 7, 5],
  smallKernel: 5,
  channels: [8, 16, 24, 32],
  depths: [1, 1, 2, 1],
};

// Two images of noise at once: the batch is free, and neither layouts nor pixels can be mistaken for each other.
test.each([
  ['mobilenet-v2', 32, 'mobilenet-v2', []],
  ['convfirst-pico', 64, 'convfirst-pico', []],
  ['slak-fashion', 28, 'slak-fashion', []],
  ['slak-fashion, merged', 28, 'slak-fashion', ['--deploy']],
  ['RepLKNet, merged', 40, REPLKNET, ['--deploy']],
] as const)('ONNX Runtime computes what Widefield computes: %s', async (_, resolution, network, options) => {
  const name = typeof network === 'string' ? network : await ownNetwork(network);
  const file = inFolder('m.onnx');
  const args = ['--weights', 'synthetic', '--resolution', String(resolution), ...options, '--json'];
  const { code, out, err } = await widefield('export', name, file, ...args);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(JSON.parse(out)).toMatchObject({ model: name, output: file, opset: 17 });

  const shape = [2, 3, resolution, resolution] as const;
  const nchw = new Random('input').array(elements(shape));
  const session = await InferenceSession.create(file);
  const { logits } = await session.run({ input: new Tensor('float32', nchw, shape) });
  await session.release();
  await using model = await createModel(modelOf(name), { weights: 'synthetic', device: 'wasm', resolution });
  expect(logits?.dims).toEqual([2, model.classes]);
  const error = relativeError(await model.run(syntheticInput(shape)), logits?.data as Float32Array);
  // Either may be off.
  expect(error).toBeLessThan(2 * networkTolerance(modelOf(name).build({ resolution })));
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
