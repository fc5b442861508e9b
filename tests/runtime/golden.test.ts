import { readFileSync, readdirSync } from 'node:fs';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { WeightSource } from '../../src/checkpoints/source.ts';
import { syntheticInput, syntheticWeights } from '../../src/checkpoints/synthetic.ts';
import type { Device } from '../../src/devices/device.ts';
import { parametersOf, selectOutputs } from '../../src/graph/graph.ts';
import type { Graph } from '../../src/graph/graph.ts';
import { optimize } from '../../src/graph/passes/index.ts';
import type { KeySet } from '../../src/models/model.ts';
import { buildModel } from '../../src/models/zoo.ts';
import { openDevice } from '../../src/runtime/open.ts';
import { createSession } from '../../src/runtime/session.ts';
import { NO_COMPILER, openIfHere } from '../support/devices.ts';

interface Stage {
  readonly tap: string;
  readonly shape: readonly number[];
  readonly mean: number;
  readonly std: number;
  readonly absmax: number;
  readonly first8: readonly number[];
}

interface Golden {
  readonly golden: string;
  readonly model: string;
  readonly keys: KeySet;
  readonly merged: boolean;
  readonly resolution: number;
  readonly top5: readonly number[];
  readonly logits: readonly number[];
  readonly stages: readonly Stage[];
}

/** The project's bound for logits, relative to the largest (docs/ARCHITECTURE.md, Numerics). */
const PARITY = 1e-4;
/** Networks that are too large to be run more than once in a test. */
const LARGE = ['replknet-xl', 'slak-base'];

const folder = new URL('../fixtures/golden/', import.meta.url);
const goldens = readdirSync(folder)
  .filter((file) => file.endsWith('.json'))
  .map((file) => JSON.parse(readFileSync(new URL(file, folder), 'utf8')) as Golden)
  // Merged goldens have the logits of the training form, with which every form is compared here.
  .filter(({ merged }) => !merged);

const devices = new Map<string, Device>();

beforeAll(async () => {
  const native = await openIfHere(() => openDevice('native'));
  if (native) devices.set('native', native);
  devices.set('wasm', await openDevice('wasm'));
});

afterAll(async () => {
  for (const device of devices.values()) await device.dispose();
});

describe.each(goldens)('$golden at $resolution', (golden) => {
  const { model, keys, resolution } = golden;
  const input = syntheticInput([1, 3, resolution, resolution]);
  const graph = buildModel(model, { keys, resolution });
  const weights = LARGE.includes(model)
    ? syntheticWeights(parametersOf(graph))
    : cached(syntheticWeights(parametersOf(graph)));

  test('native: logits of the merged network', async (context) => {
    if (!devices.has('native')) return context.skip(NO_COMPILER);
    const logits = selectOutputs(graph, ['logits']);
    const outputs = await run('native', optimize(logits), weights, input);
    compareLogits(outputs.get('logits'), golden);
  });

  test.skipIf(LARGE.includes(model))('native: logits and stages of the training form', async (context) => {
    if (!devices.has('native')) return context.skip(NO_COMPILER);
    const taps = golden.stages.map(({ tap }) => tap);
    const all = selectOutputs(graph, [...taps, 'logits']);
    expect([...all.outputs.keys()], 'the model names all of its stages').toEqual([...taps, 'logits']);
    const outputs = await run('native', optimize(all, { deploy: false }), weights, input);
    compareLogits(outputs.get('logits'), golden);
    for (const stage of golden.stages) compareStage(outputs.get(stage.tap), stage);
  });

  test.skipIf(LARGE.includes(model))('wasm: logits of the merged network', async () => {
    const outputs = await run('wasm', optimize(selectOutputs(graph, ['logits'])), weights, input);
    compareLogits(outputs.get('logits'), golden);
  });
});

async function run(
  name: string,
  graph: Graph,
  weights: Pick<WeightSource, 'read'>,
  input: Float32Array,
): Promise<ReadonlyMap<string, Float32Array>> {
  const device = devices.get(name);
  if (device === undefined) throw new Error(`The device ${name} is not open.`);
  await using session = await createSession(device, graph, weights);
  return await session.run(input);
}

function compareLogits(logits: Float32Array | undefined, golden: Golden): void {
  const scale = Math.max(...golden.logits.map(Math.abs));
  const errors = golden.logits.map((wanted, i) => Math.abs((logits?.[i] ?? NaN) - wanted) / scale);
  expect(Math.max(...errors)).toBeLessThanOrEqual(PARITY);
  const order = [...(logits ?? [])].map((_, i) => i).sort((a, b) => (logits?.[b] ?? 0) - (logits?.[a] ?? 0));
  expect(order.slice(0, 5)).toEqual(golden.top5);
}

/** Statistics of [N, H, W, C] against those of [N, C, H, W]; the first 8 values of channel 0 run along the first rows. */
function compareStage(values: Float32Array | undefined, stage: Stage): void {
  if (values === undefined) throw new Error(`${stage.tap} is missing.`);
  const [, channels = 1] = stage.shape;
  expect(values.length, stage.tap).toBe(stage.shape.reduce((a, b) => a * b, 1));
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
  const variance = values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / values.length;
  const absmax = values.reduce((max, x) => Math.max(max, Math.abs(x)), 0);
  const tolerance = PARITY * stage.absmax;
  const isMap = stage.shape.length === 4 && (stage.shape[2] ?? 1) * (stage.shape[3] ?? 1) > 1;
  const first = stage.first8.map((_, i) => values[isMap ? i * channels : i] ?? NaN);
  const compare = (what: string, found: number, wanted: number): void => {
    expect(Math.abs(found - wanted), `${stage.tap}: ${what} ${found}, golden ${wanted}`).toBeLessThanOrEqual(
      tolerance,
    );
  };
  compare('mean', mean, stage.mean);
  compare('standard deviation', Math.sqrt(variance), stage.std);
  compare('largest value', absmax, stage.absmax);
  stage.first8.forEach((wanted, i) => {
    compare(`value ${i}`, first[i] ?? NaN, wanted);
  });
}

/** Reads each tensor once. */
function cached(source: Pick<WeightSource, 'read'>): Pick<WeightSource, 'read'> {
  const known = new Map<string, Promise<Float32Array>>();
  return {
    read: (key) => {
      const values = known.get(key) ?? source.read(key);
      known.set(key, values);
      return values;
    },
  };
}
