import { readFileSync, readdirSync } from 'node:fs';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { WeightSource } from '../../src/checkpoints/source.ts';
import { syntheticInput, syntheticWeights } from '../../src/checkpoints/synthetic.ts';
import type { Device } from '../../src/devices/device.ts';
import { parametersOf, selectOutputs } from '../../src/graph/graph.ts';
import type { Graph } from '../../src/graph/graph.ts';
import { optimize } from '../../src/graph/passes/index.ts';
import { reparameterize } from '../../src/graph/passes/reparameterize.ts';
import type { KeySet } from '../../src/models/model.ts';
import { buildModel } from '../../src/models/zoo.ts';
import { createModel } from '../../src/runtime/model.ts';
import { openDevice } from '../../src/runtime/open.ts';
import { optimizeFor } from '../../src/runtime/plan.ts';
import { createSession } from '../../src/runtime/session.ts';
import { NO_COMPILER, openIfHere } from '../support/devices.ts';
import { countOps } from '../support/graph-values.ts';

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

/**
 * The bound for logits and stages, relative to the largest. PyTorch's own float32 is up to 4·10⁻⁶ off its float64 on these
 * networks; other orders of summation have errors of that size, too.
 */
const PARITY = 2e-5;
/** Too large to be run more than once in a test: 335 million parameters. */
const HUGE = 'replknet-xl';

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
  const weights = model === HUGE ? syntheticWeights(parametersOf(graph)) : cached(graph);
  afterAll(() => weights.close());

  /** Whether there are parallel branches, so that merged kernels make another network. */
  const branched = countOps(reparameterize(graph)).conv !== countOps(graph).conv;

  /** As users run it. */
  const compareModel = async (device: Device, deploy: boolean): Promise<void> => {
    await using network = await createModel(model, { weights, device, keys, resolution, deploy });
    compareLogits(await network.run(input), golden);
  };

  test('native: logits and stages of the training form', async (context) => {
    const device = devices.get('native');
    if (device === undefined) return context.skip(NO_COMPILER);
    const taps = golden.stages.map(({ tap }) => tap);
    const all = selectOutputs(graph, [...taps, 'logits']);
    expect([...all.outputs.keys()], 'the model names all of its stages').toEqual([...taps, 'logits']);
    const optimized = optimize(all, { deploy: false, ...optimizeFor(device.caps) });
    await using session = await createSession(device, optimized, weights);
    const outputs = await session.run(input);
    compareLogits(outputs.get('logits'), golden);
    for (const stage of golden.stages) compareStage(outputs.get(stage.tap), stage);
  });

  test.skipIf(model === HUGE)('native: logits of the merged network', async (context) => {
    const device = devices.get('native');
    if (device === undefined) return context.skip(NO_COMPILER);
    await compareModel(device, true);
  });

  describe.skipIf(model === HUGE)('wasm', () => {
    const forms = [
      ['merged network', true],
      ...(branched ? [['training form', false] as const] : []),
    ] as const;

    test.each(forms)('logits of the %s', async (_, deploy) => {
      const device = devices.get('wasm');
      if (device === undefined) throw new Error('The device wasm is not open.');
      await compareModel(device, deploy);
    });
  });
});

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

/** Synthetic weights of a network, each tensor made once, until they are closed. */
function cached(graph: Graph): WeightSource {
  const source = syntheticWeights(parametersOf(graph));
  const known = new Map<string, ReturnType<WeightSource['read']>>();
  return {
    ...source,
    read: (key) => {
      const values = known.get(key) ?? source.read(key);
      known.set(key, values);
      return values;
    },
    close: () => Promise.resolve(known.clear()),
  };
}
