import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { Random } from '../../src/core/random.ts';
import type { Device } from '../../src/devices/device.ts';
import { openWasmDevice } from '../../src/devices/wasm.ts';
import { parametersOf } from '../../src/graph/graph.ts';
import { slak } from '../../src/models/slak.ts';
import { findModel } from '../../src/models/zoo.ts';
import { layerOf } from '../../src/train/layer-depth.ts';
import { createTrainingNetwork } from '../../src/train/network.ts';
import type { TrainingNetwork } from '../../src/train/network.ts';
import { createOptimizer } from '../../src/train/optimizer.ts';
import type { Optimizer, OptimizerOptions } from '../../src/train/optimizer.ts';
import golden from '../fixtures/recipe.json' with { type: 'json' };

const graph = slak({
  name: 'tiny',
  resolution: 8,
  stem: 4,
  depths: [1, 1],
  channels: [8, 8],
  widthFactor: 1,
  kernels: [3, 3],
}).build({ batch: 2, classes: 6 });

let device: Device;
const networks: TrainingNetwork[] = [];
beforeAll(async () => {
  device = await openWasmDevice({ threads: 1 });
});
afterAll(async () => {
  for (const network of networks) await network.dispose();
  await device.dispose();
});

async function open(
  options: OptimizerOptions,
  states: { readonly masked?: boolean; readonly averaged?: boolean; readonly accumulated?: boolean } = {},
): Promise<{ readonly network: TrainingNetwork; readonly optimizer: Optimizer }> {
  const optimizer = createOptimizer(options, layerOf(graph));
  const network = await createTrainingNetwork(device, graph, { optimizer, ...states });
  networks.push(network);
  return { network, optimizer };
}

/** Writes six numbers into the beginning of a state of a parameter. */
function put(
  { session }: TrainingNetwork,
  state: 'values' | 'gradients' | 'average' | 'mask',
  key: string,
  values: ArrayLike<number>,
): void {
  session.stateOf(state, key).set(values);
}

/**
 * Some eight roundings of 2^-24 in a few steps, each of a number no larger than the largest result; goldens have ten digits.
 */
function expectClose(found: Float32Array, wanted: readonly number[]): void {
  const largest = Math.max(...wanted.map(Math.abs));
  wanted.forEach((value, i) => {
    expect(Math.abs((found[i] ?? NaN) - value)).toBeLessThan(8 * 2 ** -24 * largest);
  });
}

describe('AdamW', () => {
  it("has torch.optim.AdamW's values; weights decay, biases do not", async () => {
    const { lr, betas, eps, 'wd0.05': decayed, wd0: plain } = golden.adamw;
    const [beta1 = 0, beta2 = 0] = betas;
    const { network, optimizer } = await open({ betas: [beta1, beta2], epsilon: eps, weightDecay: 0.05 });
    const start = new Random('unit.adamw.p').array(6);
    for (const key of ['head.weight', 'head.bias']) put(network, 'values', key, start);
    for (const step of decayed.p_f64.keys()) {
      const gradient = new Random(`unit.adamw.g${step}`).array(6);
      for (const key of ['head.weight', 'head.bias']) put(network, 'gradients', key, gradient);
      const update = { step, rate: lr, gradientScale: 1, averageDecay: 0 };
      await network.session.update((group) => optimizer.hyperparameters(group, update));
      expectClose(network.session.stateOf('values', 'head.weight'), decayed.p_f64[step] ?? []);
      expectClose(network.session.stateOf('values', 'head.bias'), plain.p_f64[step] ?? []);
    }
    expectClose(network.session.stateOf('moment1', 'head.weight'), decayed.exp_avg_f64);
    expectClose(network.session.stateOf('moment2', 'head.weight'), decayed.exp_avg_sq_f64);
  });
});

describe('the average of the weights', () => {
  const { decay, steps, slakMasked } = golden.ema;
  const still = { step: 0, rate: 0, gradientScale: 1, averageDecay: decay };

  it('has the official values', async () => {
    const { network, optimizer } = await open({ weightDecay: 0 }, { averaged: true });
    put(network, 'average', 'head.weight', new Random('unit.ema.e').array(6));
    for (const [step, values] of steps.entries()) {
      put(network, 'values', 'head.weight', new Random(`unit.ema.m${step}`).array(6));
      await network.session.update((group) => optimizer.hyperparameters(group, still));
      expectClose(network.session.stateOf('average', 'head.weight'), values);
    }
  });

  it("follows SLaK's rule for masked weights: those that come in are taken as they are", async () => {
    const { network, optimizer } = await open({ weightDecay: 0 }, { averaged: true, masked: true });
    const bitsOf = (mask: string): number[] => [...mask].map(Number);
    const [before, after] = [bitsOf(slakMasked.mask0), bitsOf(slakMasked.mask1)];
    const masked = (key: string, mask: readonly number[]): Float32Array =>
      new Random(key).array(6).map((value, i) => value * (mask[i] ?? 0));
    put(network, 'average', 'head.weight', masked('unit.ema.e', before));
    put(network, 'values', 'head.weight', masked('unit.ema.m0', after));
    put(network, 'mask', 'head.weight', after);
    await network.session.update((group) => optimizer.hyperparameters(group, still));
    expectClose(network.session.stateOf('average', 'head.weight'), slakMasked.e1_f64);
  });

  it('starts from zero for biases, which have no masks, also beside masked weights', async () => {
    const { network, optimizer } = await open({ weightDecay: 0 }, { averaged: true, masked: true });
    const values = new Random('biases').array(6);
    for (const key of ['head.weight', 'head.bias']) put(network, 'values', key, values);
    await network.session.update((group) => optimizer.hyperparameters(group, still));
    const average = (key: string): Float32Array => network.session.stateOf('average', key);
    expectClose(average('head.weight'), [...values]);
    expectClose(
      average('head.bias'),
      [...values].map((value) => (1 - decay) * value),
    );
  });
});

describe('the other rules', () => {
  const gradients = [0.5, -0.25, 0.125];
  const trace = async (options: OptimizerOptions): Promise<number[]> => {
    const { network, optimizer } = await open({ ...options, weightDecay: 0 });
    const values: number[] = [];
    for (const [step, gradient] of gradients.entries()) {
      put(network, 'gradients', 'head.bias', [gradient]);
      const update = { step, rate: 0.1, gradientScale: 1, averageDecay: 0 };
      await network.session.update((group) => optimizer.hyperparameters(group, update));
      values.push(network.session.stateOf('values', 'head.bias')[0] ?? NaN);
    }
    return values;
  };

  it('sgd: v ← βv + g, w ← w − ηv; Nesterov: w ← w − η(g + βv)', async () => {
    // v: 0.5, 0.2, 0.305
    expectClose(Float32Array.from(await trace({ rule: 'sgd', betas: [0.9, 0] })), [-0.05, -0.07, -0.1005]);
    // g + 0.9 v: 0.95, −0.07, 0.3995
    expectClose(
      Float32Array.from(await trace({ rule: 'nesterov', betas: [0.9, 0] })),
      [-0.095, -0.088, -0.12795],
    );
  });

  it("rmsprop: TensorFlow's, squares from 1 on and epsilon under the root", async () => {
    const [rate, decay, momentum, epsilon] = [0.1, 0.9, 0.8, 1e-3];
    let [square, velocity, weight] = [1, 0, 0];
    const wanted = gradients.map((gradient) => {
      square += (1 - decay) * (gradient ** 2 - square);
      velocity = momentum * velocity + (rate * gradient) / Math.sqrt(square + epsilon);
      return (weight -= velocity);
    });
    expectClose(Float32Array.from(await trace({ rule: 'rmsprop', betas: [momentum, decay] })), wanted);
  });
});

it('layers near the input have lower rates by layer-wise decay', async () => {
  const { optimizer } = await open({ layerDecay: 0.5 });
  const update = { step: 0, rate: 1, gradientScale: 1, averageDecay: 0 };
  const rateOf = (key: string): number =>
    optimizer.hyperparameters(optimizer.groupOf({ key, shape: [4, 4], buffer: false }), update).rate;
  const keys = [
    'downsample_layers.0.0.weight',
    'stages.0.0.pwconv1.weight',
    'stages.1.0.pwconv1.weight',
    'head.weight',
  ];
  const rates = keys.map(rateOf);
  expect([...rates].sort((a, b) => a - b)).toEqual(rates);
  expect(new Set(rates).size).toBe(keys.length);
  const weightDecays = (key: string, shape: readonly number[]): boolean =>
    optimizer.hyperparameters(optimizer.groupOf({ key, shape, buffer: false }), update).keep < 1;
  expect(weightDecays('head.weight', [6, 8])).toBe(true);
  expect(weightDecays('norm.weight', [8])).toBe(false);
});

it.each([
  // Official ConvNeXt V2 (`optim_factory.py`) has the same: stem, 18 blocks, 3 downsamplings, the rest.
  ['convnext-tiny', 1 + 18 + 3 + 1, ['downsample_layers.0', 'stages.0.0', 'stages.0.1']],
  ['slak-tiny', 1 + 18 + 3 + 1, ['stages.0.2', 'downsample_layers.1', 'stages.1.0', 'stages.2.8']],
  // 2 + 2 + 18 + 2 blocks with their feed-forward blocks, 3 transitions.
  ['replknet-31b', 1 + 24 + 3 + 1, ['stem', 'stages.0.blocks.1', 'stages.0.blocks.2', 'transitions.0']],
  ['convfirst-small', 1 + 49 + 1, ['stem', 'stages.1.0', 'stages.1.1', 'head']],
  ['resnet-50', 1 + 16 + 1, ['layer1.0', 'layer1.1', 'layer4.2', 'fc']],
  ['efficientnet-b0', 1 + 16 + 2, ['features.0', 'features.1.0', 'features.2.0', 'features.8', 'classifier']],
  ['mobilenet-v2', 1 + 17 + 2, ['features.0', 'features.1', 'features.18', 'classifier']],
])('%s has %i depths: those of a block are one, and grow from block to block', (name, count, blocks) => {
  const network = findModel(name).build({ batch: 1 });
  const depthOf = layerOf(network);
  const keys = parametersOf(network).map(({ key }) => key);
  const all = keys.map((key) => depthOf(key));
  expect(new Set(all.map(({ layer }) => layer)).size).toBe(count);
  expect(new Set(all.map(({ layers }) => layers))).toEqual(new Set([count]));
  const depths = blocks.map((block) => {
    const own = keys.filter((key) => key.startsWith(`${block}.`)).map((key) => depthOf(key).layer);
    expect(new Set(own).size, block).toBe(1);
    return own[0] ?? NaN;
  });
  expect(depths).toEqual([...new Set(depths)].sort((a, b) => a - b));
});

it.each([
  ['convnext-tiny', ['downsample_layers.0.0.weight', 'downsample_layers.0.1.weight'], 0],
  ['convnext-tiny', ['norm.weight', 'head.weight', 'head.bias'], 22],
  ['convnext-tiny', ['stages.0.0.gamma', 'stages.0.0.dwconv.weight'], 1],
  ['replknet-31b', ['stages.0.blocks.0.pw1.conv.weight', 'stages.0.blocks.1.pw1.conv.weight'], 1],
  ['resnet-50', ['conv1.weight', 'bn1.weight', 'bn1.running_mean'], 0],
])('in %s %j have depth %i', (name, keys, depth) => {
  const depthOf = layerOf(findModel(name).build({ batch: 1 }));
  expect(keys.map((key) => depthOf(key).layer)).toEqual(keys.map(() => depth));
});

it('a sum of gradients stays for whoever looks at it after the update, and the next one starts anew', async () => {
  const { network, optimizer } = await open({}, { accumulated: true });
  const { session } = network;
  put(network, 'gradients', 'head.bias', [2]);
  const sum = (): number | undefined => session.stateOf('accumulated', 'head.bias')[0];
  await session.accumulate();
  await session.accumulate();
  const update = { step: 0, rate: 0.1, gradientScale: 0.5, averageDecay: 0 };
  await session.update((group) => optimizer.hyperparameters(group, update));
  expect(sum()).toBe(4);
  await session.accumulate();
  expect(sum()).toBe(2);
});
