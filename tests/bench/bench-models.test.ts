import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { expect, test } from 'vitest';

import { benchModel, runModelBench } from '../../src/bench/bench-models.ts';
import type { ModelEngine, Peer } from '../../src/bench/engine.ts';
import { openModelCase } from '../../src/bench/model-case.ts';
import { openPeer } from '../../src/bench/peers/index.ts';
import { plotModels } from '../../src/bench/plot-models.ts';
import type { ModelRow } from '../../src/bench/report.ts';
import { openWidefield } from '../../src/bench/widefield.ts';
import { packagedModel } from '../../src/runtime/packaged-model.ts';
import { formatModelReport } from '../../src/cli/bench-model-table.ts';
import { hasNativeDevice } from '../support/devices.ts';

/** Some tests look at rows of both devices. */
const hasCompiler = await hasNativeDevice();

const REQUEST = { model: 'mobilenet-v2', weights: 'synthetic', resolution: 32 } as const;
const OPTIONS = { devices: ['wasm'], peers: [], threads: 2, seconds: 0.01, tune: false } as const;
/** Layers of MobileNetV2: 52 convolutions, the classifier, and the global pool. A fused block counts as one. */
const LAYERS = 54;
/** Its blocks, each with a depthwise convolution and at least one product. */
const BLOCKS = 17;

test('a checkpoint is read as the request says', async () => {
  const weights = fileURLToPath(new URL('../fixtures/checkpoints/zip-training.pth', import.meta.url));
  await expect(openModelCase({ ...REQUEST, weights, subtree: 'none' })).rejects.toThrow('no subtree "none"');
});

test('activations that no memory holds are refused before anything is made', async () => {
  await expect(openModelCase({ ...REQUEST, batch: 4096, resolution: 1024 })).rejects.toMatchObject({
    code: 'invalid-argument',
    message: expect.stringMatching(/An activation of mobilenet-v2 takes \d+ GiB/) as string,
  });
});

test.skipIf(!hasCompiler)(
  'a network on our devices and in other runtimes: equal outputs, times, profiles',
  async () => {
    const report = await runModelBench([REQUEST], {
      ...OPTIONS,
      devices: ['native', 'wasm'],
      peers: ['onnxruntime-node', 'onnxruntime-web', 'tfjs'],
      profile: true,
    });
    expect(report.skipped).toEqual([
      { engine: 'tfjs', reason: expect.stringContaining('network') as string },
    ]);
    expect(report.rows.map(({ engine, comparedWith }) => [engine, comparedWith])).toEqual([
      ['widefield-native', 'onnxruntime-node'],
      ['widefield-wasm', 'onnxruntime-node'],
      ['onnxruntime-node', null],
      ['onnxruntime-web', 'onnxruntime-node'],
    ]);
    for (const row of report.rows) {
      expect(row).toMatchObject({ model: 'mobilenet-v2', shape: '1,32,32,3', threads: 2, correct: true });
      expect(row.medianMs).toBeGreaterThan(0);
      expect(row.gflops).toBeGreaterThan(0);
      expect(row.maxRelError === null).toBe(row.comparedWith === null);
    }
    const [own, , peer] = report.rows;
    expect(own?.setup?.compileMs).toBeGreaterThan(0);
    expect(own?.bytes?.weights).toBeGreaterThan(3.4e6 * 4);
    expect(peer).toMatchObject({ setup: null, bytes: null, peakGflops: null, config: 'ONNX opset 17' });

    expect(report.profiles.map(({ engine }) => engine)).toEqual(['widefield-native', 'widefield-wasm']);
    for (const { kernels, kinds, dense, milliseconds } of report.profiles) {
      const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
      for (const lines of [kernels, kinds]) {
        expect(sum(lines.map((line) => line.milliseconds))).toBeCloseTo(milliseconds, 9);
        expect(sum(lines.map((line) => line.share))).toBeCloseTo(1, 9);
      }
      const calls = (name: string): number => kinds.find((kind) => kind.name === name)?.calls ?? 0;
      const all = sum(kinds.map((line) => line.calls));
      expect(sum(kernels.map((line) => line.calls))).toBe(all);
      expect(all).toBeLessThanOrEqual(LAYERS);
      expect(all).toBeGreaterThanOrEqual(LAYERS - 2 * BLOCKS);
      // Whatever is fused, each block shows up once.
      expect(calls('depthwise') + calls('block')).toBe(BLOCKS);
      expect(dense.calls).toBeGreaterThan(0);
    }
    expect(formatModelReport(report)).toContain('the reference is onnxruntime-node');
  },
);

test('a wrong result is flagged, and its time means nothing', async () => {
  const wasm = await openWidefield('wasm', { threads: 2, tune: false });
  const ort = await openPeer('onnxruntime-node', { threads: 2 });
  if ('absent' in ort) throw new Error(ort.absent);
  const one = await openModelCase(REQUEST);
  try {
    const result = await benchModel(
      one,
      [
        { name: 'widefield-wasm', peer: spoiled(wasm) },
        { name: 'onnxruntime-node', peer: ort },
      ],
      { seconds: 0.01 },
    );
    expect(result.rows.map(({ engine, correct }) => [engine, correct])).toEqual([
      ['widefield-wasm', false],
      ['onnxruntime-node', true],
    ]);
    expect(result.rows[0]?.maxRelError).toBeGreaterThan(1e-4);
  } finally {
    await Promise.all([wasm.dispose(), ort.dispose(), one.dispose()]);
  }
});

/** The same engines, except that one logit is off. */
function spoiled(peer: Peer): Peer {
  const spoil = (engine: ModelEngine): ModelEngine => ({
    ...engine,
    output: async () => (await engine.output()).map((logit, i) => (i === 500 ? logit + 0.1 : logit)),
  });
  return {
    ...peer,
    prepareModel: async (one, signal) => ((await peer.prepareModel?.(one, signal)) ?? []).map(spoil),
  };
}

test('an engine that cannot take the network is skipped, with the reason', async () => {
  const broken: Peer = {
    version: '1.0',
    prepare: () => Promise.resolve([]),
    prepareModel: () => Promise.reject(new Error('out of memory\nat some place')),
    dispose: () => Promise.resolve(),
  };
  const one = await openModelCase(REQUEST);
  const result = await benchModel(one, [{ name: 'broken', peer: broken }], { seconds: 0.01 });
  expect(result).toEqual({
    rows: [],
    profiles: [],
    skipped: [{ engine: 'broken', model: 'mobilenet-v2', shape: '1,32,32,3', reason: 'out of memory' }],
  });
});

test('an engine that fails while it is timed, or disposed of, takes no other with it', async () => {
  const wasm = await openWidefield('wasm', { threads: 1, tune: false });
  const failing: Peer = {
    ...wasm,
    prepareModel: async (one, signal) =>
      ((await wasm.prepareModel?.(one, signal)) ?? []).map((engine) => ({
        ...engine,
        name: 'failing',
        time: () => Promise.reject(new Error('the process is gone')),
        dispose: async () => {
          await engine.dispose();
          throw new Error('the process is gone');
        },
      })),
  };
  const one = await openModelCase(REQUEST);
  try {
    const opened = [
      { name: 'failing', peer: failing },
      { name: 'widefield-wasm', peer: wasm },
    ];
    const { rows, skipped } = await benchModel(one, opened, { seconds: 0.01 });
    expect(rows.map(({ engine }) => engine)).toEqual(['widefield-wasm']);
    expect(skipped).toMatchObject([{ engine: 'failing', reason: 'the process is gone' }]);
  } finally {
    await Promise.all([wasm.dispose(), one.dispose()]);
  }
});

test('a network of your own is timed by its definition, not by its name', async () => {
  const { model, weights } = packagedModel();
  const { rows, skipped } = await runModelBench([{ model, weights }], OPTIONS);
  expect(skipped).toEqual([]);
  expect(rows.map(({ engine, correct }) => [engine, correct])).toEqual([['widefield-wasm', true]]);
});

test('batches count in shape and operations; alone, an engine is compared with nothing', async () => {
  const report = await runModelBench([REQUEST, { ...REQUEST, batch: 2 }], OPTIONS);
  expect(
    report.rows.map(({ shape, comparedWith, maxRelError, correct }) => [
      shape,
      comparedWith,
      maxRelError,
      correct,
    ]),
  ).toEqual([
    ['1,32,32,3', null, null, true],
    ['2,32,32,3', null, null, true],
  ]);
  const [one, two] = report.rows.map(({ gflops, medianMs }) => gflops * medianMs);
  expect((two ?? 0) / (one ?? 1)).toBeCloseTo(2, 9);
  expect(formatModelReport(report)).toContain('not compared');
});

test('tuning keeps the winner of every problem, so that an interrupted run goes on where it was', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'widefield-test-'));
  try {
    /** Tunes the first problem; how many there are left to tune at the start. */
    const tuneOne = async (): Promise<number> => {
      let problems = 0;
      const controller = new AbortController();
      const running = runModelBench([REQUEST], {
        ...OPTIONS,
        tune: true,
        tuningFile: path.join(folder, 'tuning.json'),
        signal: controller.signal,
        onProgress: (activity) => {
          problems ||= Number(/tuning wasm 1 of (\d+)/.exec(activity)?.[1] ?? 0);
          if (activity.includes('tuning wasm 2 of')) controller.abort();
        },
      });
      await expect(running).rejects.toMatchObject({ code: 'aborted' });
      return problems;
    };
    const problems = await tuneOne();
    expect(problems).toBeGreaterThan(20);
    expect(await tuneOne()).toBe(problems - 1);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('a plot has a panel for each network and a bar for each correct engine', async () => {
  const { rows, ...report } = await runModelBench([REQUEST], OPTIONS);
  const [row] = rows;
  if (row === undefined) throw new Error('no row');
  const times: Readonly<Record<string, number>> = { 'widefield-wasm': 2, 'onnxruntime-web': 5, pytorch: 1 };
  const all = ['mobilenet-v2', 'resnet-50'].flatMap((model) =>
    Object.entries(times).map(([engine, medianMs]): ModelRow => ({
      ...row,
      model,
      engine,
      medianMs,
      correct: engine !== 'pytorch',
    })),
  );
  const svg = plotModels({ ...report, rows: all });
  expect(svg).toMatch(/^<svg[^>]* xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
  for (const { model } of all) expect(svg).toContain(`${model}, input [1, 32, 32, 3]`);
  expect(svg.split('>2 ms (1.0×)<')).toHaveLength(3);
  expect(svg.split('>5 ms (2.5×)<')).toHaveLength(3);
  expect(svg).not.toMatch(/pytorch|NaN/);
  expect(() => plotModels({ ...report, rows: [] })).toThrow(/nothing|no correct/i);
});
