import { afterAll, beforeAll, expect, test, vi } from 'vitest';

import { runTrainBench } from '../../src/bench/bench-train.ts';
import { runLayerBench } from '../../src/bench/bench-train-layer.ts';
import type { Peer } from '../../src/bench/engine.ts';
import { checkLeaks } from '../../src/bench/leak-check.ts';
import { openPeer } from '../../src/bench/peers/index.ts';
import type { AbsentPeer } from '../../src/bench/peers/index.ts';
import { layerCase } from '../../src/bench/train-layer-case.ts';
import { openTrainCase } from '../../src/bench/train-case.ts';
import { replkBlockPair, smallConvNet } from '../../src/bench/train-networks.ts';
import { relativeError } from '../../src/bench/verify-model.ts';
import { layerExpectation } from '../../src/bench/verify-train-layer.ts';
import { maxRelativeError } from '../../src/bench/verify.ts';
import { GraphBuilder } from '../../src/graph/builder.ts';
import { nodesOf } from '../../src/graph/graph.ts';
import type { Graph } from '../../src/graph/graph.ts';
import { hasNativeDevice } from '../support/devices.ts';

/** Some tests look at rows of both devices. */
const hasCompiler = await hasNativeDevice();

const OPTIONS = { devices: ['native', 'wasm'], threads: 2, seconds: 0.01, tune: false } as const;

let pytorch: Peer | AbsentPeer;
beforeAll(async () => {
  pytorch = await openPeer('pytorch', { threads: 1 });
});
afterAll(async () => {
  if ('dispose' in pytorch) await pytorch.dispose();
});

/** A layer norm, a layer scale, a GELU, a residual and a batch norm: what the small network has not. */
function blockWithNorms(): Graph {
  const b = new GraphBuilder('norms');
  const x = b.conv(b.input([2, 8, 8, 3]), 'stem', {
    outputs: 8,
    kernel: 2,
    stride: 2,
    padding: 0,
    bias: true,
  });
  let y = b.layerNorm(b.conv(x, 'dw', { outputs: 8, kernel: 5, groups: 'depthwise', bias: true }), 'norm');
  y = b.linear(b.activation(b.linear(y, 'pw1', 16), 'gelu'), 'pw2', 8);
  y = b.batchNorm(b.add(x, b.layerScale(y, 'gamma')), 'bn');
  b.output('logits', b.linear(b.globalPool(y), 'head', 4));
  return b.build();
}

test.skipIf(!hasCompiler)('every part of a depthwise layer, each against float64', async () => {
  const cases = [
    layerCase([2, 9, 7, 5], { height: 5, width: 5 }),
    layerCase([1, 6, 11, 8], { height: 7, width: 3 }),
  ];
  const { rows, skipped } = await runLayerBench(cases, 2, { ...OPTIONS, peers: ['tfjs'] });
  expect(skipped.map(({ engine }) => engine)).toEqual(['tfjs']);
  expect(rows).toHaveLength(2 * 2 * 3);
  for (const row of rows) {
    expect(row.correct).toBe(true);
    expect(row.maxRelError).toBeLessThan(1e-5);
    expect(row.peerError).toBeNull();
    expect(row.runs).toBeGreaterThanOrEqual(20);
  }
  expect(rows.slice(0, 3).map(({ part }) => part)).toEqual(['forward', 'input gradient', 'weight gradient']);
});

test('PyTorch computes every part of a layer in both memory formats', async (context) => {
  if ('absent' in pytorch) return context.skip(`PyTorch: ${pytorch.absent}`);
  const one = layerCase([2, 6, 8, 4], { height: 3, width: 5 });
  const engines = (await pytorch.prepareLayer?.(one)) ?? [];
  expect(engines).toHaveLength(6);
  for (const engine of engines) {
    await engine.time(1);
    expect(maxRelativeError(await engine.output(), layerExpectation(one, engine.part))).toBeLessThan(1e-5);
    await engine.dispose();
  }
});

test.skipIf(!hasCompiler)(
  'steps of a network in our devices and in TensorFlow.js have equal losses',
  async () => {
    const { rows, skipped, profiles } = await runTrainBench([{ name: 'small', graph: smallConvNet(2, 8) }], {
      ...OPTIONS,
      peers: ['tfjs', 'jax-js'],
      profile: true,
    });
    expect(skipped.map(({ engine }) => engine)).toEqual(['jax-js']);
    expect(rows.map(({ engine }) => engine)).toEqual(['widefield-native', 'widefield-wasm', 'tfjs']);
    for (const row of rows) {
      expect(row.correct).toBe(true);
      if (row.maxRelError !== null) expect(row.maxRelError).toBeLessThan(1e-5);
    }
    expect(profiles).toHaveLength(2);
    const kinds = profiles[0]?.kinds.map(({ name }) => name) ?? [];
    for (const kind of ['depthwise weight gradient', 'weight packing', 'optimizer'])
      expect(kinds).toContain(kind);
  },
);

test('PyTorch learns what our devices learn', async (context) => {
  if ('absent' in pytorch) return context.skip(`PyTorch: ${pytorch.absent}`);
  const request = { name: 'norms', graph: blockWithNorms(), inputGradient: true };
  const { rows } = await runTrainBench([request], { ...OPTIONS, devices: ['wasm'], peers: [] });
  expect(rows.map(({ correct }) => correct)).toEqual([true]);
  const wasm = await openedWidefield(request);
  const engines = (await pytorch.prepareTraining?.(openTrainCase(request))) ?? [];
  expect(engines.map(({ name }) => name)).toEqual(['pytorch', 'pytorch-channels-last']);
  for (const engine of engines) {
    const losses = await engine.output();
    expect(new Set(losses).size).toBe(losses.length);
    expect(relativeError(losses, wasm)).toBeLessThan(1e-5);
    expect(await engine.time(2)).toHaveLength(2);
    await engine.dispose();
  }
});

test('a network that TensorFlow.js has no translation of is skipped, and why', async () => {
  const request = { name: 'norms', graph: blockWithNorms() };
  const { rows, skipped } = await runTrainBench([request], {
    ...OPTIONS,
    devices: ['wasm'],
    peers: ['tfjs'],
  });
  expect(rows).toHaveLength(1);
  expect(skipped[0]?.reason).toMatch(/layer-norm.*not translated/);
});

test('a block pair is cut out of its network, with the gradient to its input', () => {
  const graph = replkBlockPair('replknet-31b', 4, 1);
  expect(graph.input.shape).toEqual([1, 7, 7, 1024]);
  const one = openTrainCase({ name: 'pair', graph, inputGradient: true });
  const without = openTrainCase({ name: 'pair', graph });
  // The norm in front reads the input: its gradient to it is no product.
  expect(one.macs).toBe(without.macs);
  expect(one.classes).toBe(10);
  expect(() => replkBlockPair('convnext-tiny', 1, 1)).toThrow(/use a RepLKNet/);
});

test('resident memory over many steps is compared with the plan', async () => {
  const graph = smallConvNet(4, 32);
  const bytes = nodesOf(graph).map(({ shape }) => 4 * shape.reduce((a, b) => a * b, 1));
  const reports = await checkLeaks([{ name: 'small', graph }], { devices: ['wasm'], threads: 1, steps: 30 });
  expect(reports).toHaveLength(1);
  const [report] = reports;
  expect(report).toMatchObject({ model: 'small', engine: 'widefield-wasm', steps: 30 });
  expect(report?.plannedBytes).toBeGreaterThan(4 * 4 * 3e4);
  // 24 steps lie between the two tenths: a third of the largest activation, lost in each, would be too much.
  expect(Math.max(...bytes)).toBe(2 ** 20);
  expect(report?.growthBytes).toBeLessThan(8 * 2 ** 20);
});

test('without a compiler, the check of memory leaves out what was not asked for by name', async () => {
  const requests = [{ name: 'small', graph: smallConvNet(2, 8) }];
  const warnings: string[] = [];
  const options = { threads: 1, steps: 2, onWarning: (message: string) => warnings.push(message) };
  vi.stubEnv('PATH', '/nowhere');
  vi.stubEnv('CC', '');
  try {
    const reports = await checkLeaks(requests, options);
    expect(reports.map(({ engine }) => engine)).toEqual(['widefield-wasm']);
    expect(warnings).toEqual([expect.stringMatching(/^widefield-native is left out: .*compiler/)]);
    await expect(checkLeaks(requests, { ...options, devices: ['native'] })).rejects.toMatchObject({
      code: 'unsupported',
    });
  } finally {
    vi.unstubAllEnvs();
  }
  const signal = AbortSignal.abort();
  await expect(checkLeaks(requests, { ...options, devices: ['wasm'], signal })).rejects.toMatchObject({
    code: 'aborted',
  });
});

test('batches that no memory holds are refused', () => {
  const graph = smallConvNet(2 ** 20, 256);
  expect(() => openTrainCase({ name: 'huge', graph })).toThrow(/An activation of huge takes \d+ GiB/);
});

/** Losses of the first steps in WebAssembly. */
async function openedWidefield(request: {
  name: string;
  graph: Graph;
  inputGradient: boolean;
}): Promise<Float32Array> {
  const { openWidefield } = await import('../../src/bench/widefield.ts');
  const peer = await openWidefield('wasm', { threads: 1, tune: false });
  try {
    const [engine] = (await peer.prepareTraining?.(openTrainCase(request))) ?? [];
    const losses = await engine?.output();
    await engine?.dispose();
    return losses ?? new Float32Array();
  } finally {
    await peer.dispose();
  }
}
