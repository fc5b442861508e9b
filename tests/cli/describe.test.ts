import { expect, test } from 'vitest';

import { widefield } from '../support/command-line.ts';

interface Description {
  readonly model: string;
  readonly resolution: number | readonly number[];
  readonly params: number;
  readonly macs: number;
  readonly macsByKind: Readonly<Record<string, number>>;
  readonly memory: { readonly weightsMiB: number; readonly activationsMiB: number };
  readonly stages: readonly Part[];
  readonly layers?: readonly Part[];
}

interface Part {
  readonly name: string;
  readonly shape: readonly number[];
  readonly blocks?: number;
  readonly params: number;
  readonly macs: number;
}

async function describeJson(...args: string[]): Promise<Description> {
  const { code, out, err } = await widefield('describe', ...args, '--json');
  expect({ code, err }).toEqual({ code: 0, err: '' });
  return JSON.parse(out) as Description;
}

/** From the reference implementations in PyTorch: parameters, MACs, and MACs by kind. */
// prettier-ignore
test.each([
  ['replknet-31b', 224, false, 79864168, 15431298048],
  ['replknet-31b', 384, false, 79864168, 45347135488],
  ['replknet-31b', 224, true, 79527272, 15353525248],
  ['replknet-3b', 224, true, 71894376, 12938654720],
  ['replknet-31l', 224, false, 172671016, 32780739072],
  ['replknet-xl', 224, true, 335399656, 63078899712],
  ['slak-tiny', 224, false, 50703838, 8704776370],
  ['slak-base', 224, false, 157950792, 28509057219],
  ['convnext-femto', 288, false, 5217784, 1288525056],
  ['convnext-base', 224, false, 88591464, 15354729472],
  ['resnet-101', 224, false, 44549160, 7801405440],
  ['mobilenet-v2', 224, false, 3504872, 300774272],
  ['efficientnet-b0', 224, false, 5288548, 385814752],
  ['efficientnet-b5', 456, false, 30389784, 10266384752],
  ['efficientnet-v2-s', 384, false, 21458488, 8365617152],
])('%s at %i, merged %s: %i parameters, %i MACs', async (model, resolution, deploy, params, macs) => {
  const found = await describeJson(model, '--resolution', String(resolution), ...(deploy ? ['--deploy'] : []));
  expect(found).toMatchObject({ model, resolution, params, macs });
  const sum = (parts: readonly number[]): number => parts.reduce((a, b) => a + b, 0);
  expect(sum(Object.values(found.macsByKind))).toBe(macs);
  expect(sum(found.stages.map((stage) => stage.params))).toBe(params);
  expect(sum(found.stages.map((stage) => stage.macs))).toBe(macs);
  expect(found.memory.weightsMiB).toBeGreaterThanOrEqual((4 * params) / 2 ** 20);
  expect(found.memory.activationsMiB).toBeGreaterThan((4 * 3 * resolution ** 2) / 2 ** 20);
});

test('MACs by kind', async () => {
  const { macsByKind } = await describeJson('mobilenet-v2');
  expect(macsByKind).toEqual({
    ...{ depthwise: 20716416, grouped: 0, pointwise: 267939840 },
    ...{ other: 10838016, linear: 1280000 },
  });
  const pico = await describeJson('convfirst-pico');
  expect(pico.macsByKind).toMatchObject({
    depthwise: 0,
    grouped: expect.toSatisfy((macs: number) => macs > 1e7) as number,
  });
});

test('stages and their blocks', async () => {
  const { stages } = await describeJson('convnext-tiny');
  expect(stages.map(({ name, shape, blocks }) => [name, shape.slice(1).join('×'), blocks])).toEqual([
    ['downsample_layers.0', '56×56×96', 0],
    ['stages.0', '56×56×96', 3],
    ['downsample_layers.1', '28×28×192', 0],
    ['stages.1', '28×28×192', 3],
    ['downsample_layers.2', '14×14×384', 0],
    ['stages.2', '14×14×384', 9],
    ['downsample_layers.3', '7×7×768', 0],
    ['stages.3', '7×7×768', 3],
    ['norm', '1×1×768', 0],
    ['logits', '1×1×1000', 0],
  ]);
  const timm = await describeJson('convnext-tiny', '--keys', 'timm');
  expect(timm.stages[0]?.name).toBe('stem');
});

test('layers, classes and rectangles', async () => {
  const args = ['mobilenet-v2', '--layers', '--classes', '10', '--resolution', '64x96'];
  const { layers = [], params, macs, resolution } = await describeJson(...args);
  expect(resolution).toEqual([64, 96]);
  expect(layers.reduce((sum, layer) => sum + layer.params, 0)).toBe(params);
  expect(layers.reduce((sum, layer) => sum + layer.macs, 0)).toBe(macs);
  expect(layers[0]).toMatchObject({ name: 'features.0.0', shape: [1, 32, 48, 32], params: 864 });
  expect(layers.at(-1)).toMatchObject({ shape: [1, 1, 1, 10], params: 12810, macs: 12800 });
});

test('tables for people', async () => {
  const { code, out } = await widefield('describe', 'replknet-31b', '--layers', '--parameters');
  expect(code).toBe(0);
  expect(out).toContain('RepLKNet-31B at 224×224, 1000 classes, training form');
  expect(out).toContain('(79864168)');
  expect(out).toMatch(/stages\.2 +14×14×512 +36 /);
  expect(out).toMatch(
    /stages\.0\.blocks\.0\.large_kernel\.lkb_origin\.conv +conv 31×31 groups 128 +56×56×128/,
  );
  expect(out).toMatch(/stem\.0\.bn\.running_mean +\[128\] +buffer/);
});

test('without a name: all models', async () => {
  const { code, out } = await widefield('describe');
  expect(code).toBe(0);
  expect(out).toMatch(/^replknet-31b +79\.864 M +15\.431 G +224×224 +Scaling Up/m);
  expect(out.trim().split('\n')).toHaveLength(32);
});

test.each([
  [['describe', 'replknet-31'], 2, 'replknet-31b'],
  [['describe', 'slak-tiny', '--resolution', '3x4x5'], 2, 'height x width'],
  [['describe', 'slak-tiny', '--resolution', '16'], 1, 'at least 32×32'],
  [['describe', 'slak-tiny', '--keys', 'timm'], 1, 'no timm keys'],
])('%j fails in one line', async (args, code, hint) => {
  const outcome = await widefield(...args);
  expect({ code: outcome.code, out: outcome.out }).toEqual({ code, out: '' });
  expect(outcome.err).toContain(hint);
  expect(outcome.err.trim().split('\n')).toHaveLength(1);
});
