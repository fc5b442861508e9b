import { readFile, readdir, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import { expect, test } from 'vitest';

import { openCheckpoint } from '../../src/checkpoints/open.ts';
import { syntheticWeights } from '../../src/checkpoints/synthetic.ts';
import { planConversion } from '../../src/cli/convert-plan.ts';
import type { ConversionOptions } from '../../src/cli/convert-plan.ts';
import { parametersOf } from '../../src/graph/graph.ts';
import { findModel } from '../../src/models/zoo.ts';
import { buildModel } from '../../src/models/zoo.ts';
import type { ModelOptions } from '../../src/models/model.ts';
import { FOLDER } from '../checkpoints/fixtures.ts';
import { widefield } from '../support/command-line.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const inFolder = temporaryFolder();

const STRICT: ConversionOptions = {
  strict: true,
  onWarning: (message) => {
    throw new Error(message);
  },
};

function parameters(model: string, options?: ModelOptions) {
  return parametersOf(buildModel(model, options)).map(({ key, shape }) => ({ key, shape }));
}

test('a state dict is written and read back, in its order', async () => {
  const [first, half] = [inFolder('first.safetensors'), inFolder('half.safetensors')];
  const made = await widefield('convert', 'synthetic', first, '--model', 'mobilenet-v2', '--json');
  expect(made).toMatchObject({ code: 0, err: '' });
  expect(JSON.parse(made.out)).toEqual({
    model: 'mobilenet-v2',
    output: first,
    tensors: 314,
    merged: false,
    bytes: (await readFile(first)).length,
    dtype: 'float32',
  });
  const copied = await widefield('convert', first, half, '--dtype', 'bfloat16');
  expect(copied.out).toMatch(/^Wrote .*half\.safetensors: 314 tensors, 6\.78 MiB, bfloat16\.\n$/);

  const expected = syntheticWeights(parameters('mobilenet-v2'));
  const full = await openCheckpoint(first);
  const rounded = await openCheckpoint(half);
  try {
    expect([...full.entries.keys()].toSorted()).toEqual([...expected.entries.keys()].toSorted());
    expect([...rounded.entries.keys()]).toEqual([...full.entries.keys()]);
    for (const key of ['features.3.conv.1.0.weight', 'classifier.1.bias']) {
      const values = await expected.read(key);
      expect(await full.read(key)).toEqual(values);
      (await rounded.read(key)).forEach((value, i) => {
        expect(Math.abs(value - (values[i] ?? NaN))).toBeLessThanOrEqual(Math.abs(value) * 2 ** -8);
      });
    }
    expect(rounded.entries.get('features.0.1.num_batches_tracked')?.dtype).toBe('int64');
  } finally {
    await full.close();
    await rounded.close();
  }
});

test('integers keep their format and every bit', async () => {
  const [input, output] = [fileURLToPath(new URL('zip-dtypes.pth', FOLDER)), inFolder('copy.safetensors')];
  expect(await widefield('convert', input, output, '--dtype', 'float16')).toMatchObject({ code: 0 });
  const [from, to] = [await openCheckpoint(input), await openCheckpoint(output)];
  try {
    for (const key of ['int64', 'int32', 'int16', 'int8', 'uint8', 'bool']) {
      expect(to.entries.get(key)).toMatchObject(from.entries.get(key) ?? {});
      expect([...(await to.readBytes(key))]).toEqual([...(await from.readBytes(key))]);
    }
    expect(to.entries.get('float64')?.dtype).toBe('float16');
  } finally {
    await from.close();
    await to.close();
  }
});

test('counters of batches keep every bit under the names of a network', async () => {
  const source = syntheticWeights(parameters('mobilenet-v2'));
  const count = new Uint8Array(BigInt64Array.of(2n ** 24n + 1n).buffer);
  const counting = { ...source, readBytes: () => Promise.resolve(count) };
  const { tensors, read } = planConversion(findModel('mobilenet-v2'), counting, STRICT);
  const counters = tensors.filter(({ key }) => key.endsWith('num_batches_tracked'));
  expect(counters.length).toBeGreaterThan(50);
  expect(counters.every(({ dtype }) => dtype === 'int64')).toBe(true);
  expect(await read(counters[0]?.key ?? '')).toBe(count);
  expect(await read('classifier.1.bias')).toEqual(await source.read('classifier.1.bias'));
});

test('--deploy writes the state dict of the merged network', async () => {
  const source = syntheticWeights(parameters('replknet-31b'));
  const { tensors, read, merged } = planConversion(findModel('replknet-31b'), source, {
    ...STRICT,
    deploy: true,
  });
  expect(merged).toBe(true);
  const byKey = (a: { key: string }, b: { key: string }): number => (a.key < b.key ? -1 : 1);
  expect(tensors.map(({ key, shape }) => ({ key, shape })).toSorted(byKey)).toEqual(
    parameters('replknet-31b', { deploy: true }).toSorted(byKey),
  );
  // A merged kernel's corner has only the large kernel: w · γ / √(σ² + ε).
  const block = 'stages.3.blocks.0.large_kernel';
  const values = async (key: string): Promise<Float32Array> => source.read(`${block}.lkb_origin.${key}`);
  const [kernel, scale, variance] = [
    await values('conv.weight'),
    await values('bn.weight'),
    await values('bn.running_var'),
  ];
  const corner = ((kernel[0] ?? NaN) * (scale[0] ?? NaN)) / Math.sqrt((variance[0] ?? NaN) + 1e-5);
  expect((await read(`${block}.lkb_reparam.weight`))[0]).toBeCloseTo(corner, 6);
});

test("the source's order is kept, and merged tensors stand where their parts did", () => {
  const shuffled = parameters('replknet-3b').toReversed();
  const { tensors } = planConversion(findModel('replknet-3b'), syntheticWeights(shuffled), {
    ...STRICT,
    deploy: true,
  });
  const keys = tensors.map(({ key }) => key);
  expect(keys[0]).toBe('head.bias');
  const block = 'stages.0.blocks.0';
  const own = keys.filter((key) => key.startsWith(`${block}.`) && /(weight|bias)$/.test(key));
  expect(own).toEqual(
    [
      ...['pw2.bn.bias', 'pw2.bn.weight', 'pw2.conv.weight'],
      ...['large_kernel.lkb_reparam.weight', 'large_kernel.lkb_reparam.bias'],
      ...['pw1.bn.bias', 'pw1.bn.weight', 'pw1.conv.weight', 'prelkb_bn.bias', 'prelkb_bn.weight'],
    ].map((name) => `${block}.${name}`),
  );
});

test('names of either project', () => {
  const official = parameters('convnext-tiny', { keys: 'official', classes: 21 });
  const timm = parameters('convnext-tiny', { keys: 'timm', classes: 21 });
  const there = planConversion(findModel('convnext-tiny'), syntheticWeights(official), {
    ...STRICT,
    keys: 'timm',
  });
  expect(there.tensors).toEqual(timm);
  const back = planConversion(findModel('convnext-tiny'), syntheticWeights(timm), {
    ...STRICT,
    keys: 'official',
  });
  expect(back.tensors).toEqual(official);
});

test('a checkpoint without counters of batches is complete', () => {
  const without = parameters('resnet-50').filter(({ key }) => !key.endsWith('num_batches_tracked'));
  const { tensors } = planConversion(findModel('resnet-50'), syntheticWeights(without), STRICT);
  expect(tensors.map(({ key }) => key)).toEqual(without.map(({ key }) => key));
});

/** A file of one tensor, x. */
async function writeTensor(file: string, ...values: number[]): Promise<void> {
  const sizes = { shape: [values.length], data_offsets: [0, 4 * values.length] };
  const header = JSON.stringify({ x: { dtype: 'F32', ...sizes } }).padEnd(64);
  const bytes = Buffer.concat([
    Buffer.alloc(8),
    Buffer.from(header),
    Buffer.from(Float32Array.from(values).buffer),
  ]);
  bytes.writeBigUInt64LE(64n);
  await writeFile(inFolder(file), bytes);
}

test('what float16 cannot hold is worth a warning', async () => {
  await writeTensor('large.safetensors', 65519, -65520, 1e9, Infinity);
  const args = ['convert', inFolder('large.safetensors'), inFolder('half.safetensors'), '--dtype'];
  const { code, err } = await widefield(...args, 'float16');
  expect(code).toBe(0);
  expect(err).toContain('2 values of x do not fit float16');
  expect((await widefield(...args, 'bfloat16')).err).not.toContain('fit');
});

test('NaN in weights is worth a warning', async () => {
  await writeTensor('nan.safetensors', 1, NaN);
  const { code, err } = await widefield('convert', inFolder('nan.safetensors'), inFolder('out.safetensors'));
  expect(code).toBe(0);
  expect(err).toMatch(/^.*nan\.safetensors: 1 of the 2 values of x are NaN .*\.\n$/);
});

test.each([
  ['another network', ['first.safetensors', '--model', 'resnet-50'], 1, 'does not fit resnet-50'],
  ['no checkpoint', ['text.pth'], 1, 'is not a checkpoint'],
  ['nothing', ['missing.pth'], 1, 'missing.pth cannot be read'],
  ['--deploy of what', ['first.safetensors', '--deploy'], 2, '--model'],
  [
    'names that it does not have',
    ['first.safetensors', '--model', 'mobilenet-v2', '--keys', 'timm'],
    1,
    'no timm keys',
  ],
])('%s: one sentence, and no file', async (_, [input = '', ...args], code, hint) => {
  await writeFile(inFolder('text.pth'), 'hello');
  const output = inFolder('refused.safetensors');
  const outcome = await widefield('convert', inFolder(input), output, ...args);
  expect({ code: outcome.code, out: outcome.out }).toEqual({ code, out: '' });
  expect(outcome.err).toContain(hint);
  expect(outcome.err.trim().split('\n')).toHaveLength(1);
  expect((await readdir(inFolder())).filter((name) => name.startsWith('refused'))).toEqual([]);
});

test('a name that says another format', async () => {
  const { code, err } = await widefield('convert', 'x.pth', 'y.pth');
  expect(code).toBe(2);
  expect(err).toContain('.safetensors');
});
