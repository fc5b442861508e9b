import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../../src/core/random.ts';
import type { Device } from '../../src/devices/device.ts';
import { openNativeDevice } from '../../src/devices/native.ts';
import { openWasmDevice } from '../../src/devices/wasm.ts';
import { evaluate, parameterValues } from '../../src/graph/evaluate.ts';
import { elements, nodesOf, parametersOf } from '../../src/graph/graph.ts';
import type { Graph } from '../../src/graph/graph.ts';
import { differentiate } from '../../src/graph/passes/differentiate.ts';
import { fuseElementwise } from '../../src/graph/passes/fuse-elementwise.ts';
import { fuseEpilogues } from '../../src/graph/passes/fuse-epilogues.ts';
import { recompute } from '../../src/graph/passes/recompute.ts';
import { trainingForm } from '../../src/graph/passes/training-form.ts';
import { convfirst } from '../../src/models/convfirst.ts';
import { efficientnet } from '../../src/models/efficientnet.ts';
import { slak } from '../../src/models/slak.ts';
import { createTrainingSession } from '../../src/train/training-session.ts';
import { weightsFor } from '../support/graph-values.ts';
import { NO_COMPILER, openIfHere } from '../support/devices.ts';

const stage = { expansion: 2, kernel: 3, stride: 2, depth: 1, channels: 16 };
const networks = {
  SLaK: slak({
    kernels: [7, 5, 5, 3],
    smallKernel: 3,
    channels: [4, 20, 6, 6],
    depths: [1, 1, 1, 1],
    widthFactor: 1,
  }),
  ConvFirst: convfirst({ channels: [16, 16, 16, 16, 16, 16], depths: [1, 1, 1, 1, 1], last: 16 }),
  EfficientNet: efficientnet({
    stem: 16,
    last: 16,
    stages: [
      { ...stage, block: 'fused', expansion: 1 },
      { ...stage, block: 'mbconv', kernel: 5 },
      { ...stage, block: 'fused', depth: 2 },
      { ...stage, block: 'mbconv', depth: 2 },
    ],
  }),
};

/**
 * Gradients through batch norms of some hundred values magnify rounding, those to biases before them cancel to nothing:
 * by less than this part of the largest gradient of a parameter, but of at least a thousandth.
 */
const TOLERANCE = 1e-3;

describe.each([
  ['native', () => openNativeDevice()],
  ['wasm', () => openWasmDevice()],
] as const)('gradients on %s are those of float64', (_, open) => {
  let device: Device | undefined;
  beforeAll(async () => {
    device = await openIfHere<Device>(open);
  });
  afterAll(() => device?.dispose());

  const cases = Object.entries(networks).flatMap(([name, variant]) =>
    [true, false].map((batchStatistics) => ({ name, variant, batchStatistics })),
  );
  it.for(cases)('$name, statistics of the batch: $batchStatistics', async (test, context) => {
    if (device === undefined) return context.skip(NO_COMPILER);
    const { variant, batchStatistics } = test;
    const built = variant.build({ batch: 2, resolution: [49, 64], classes: 5 });
    const form = trainingForm(built, { dropPath: 0.2, dropout: 0.1, batchStatistics });
    const graph = differentiate(form.graph, { outputs: ['loss'] });
    const inputs = inputsOf(graph);
    const weights = weightsFor(built);
    const expected = evaluate(graph, inputs.get('input') ?? new Float32Array(), weights, inputs);
    const fused = recompute(fuseElementwise(fuseEpilogues(graph)));
    await using session = await createTrainingSession(device, fused, {
      optimizer: 'sgd',
      groupOf: () => 'all',
    });
    for (const parameter of parametersOf(fused)) {
      session.stateOf('values', parameter.key).set(parameterValues(parameter, weights));
    }
    const outputs = await session.run(inputs);
    for (const [name, wanted] of expected) {
      const actual = name.startsWith('gradient.')
        ? session.stateOf('gradients', name.replace('gradient.', ''))
        : outputs.get(name);
      const scale = Math.max(1e-3, ...wanted.map(Math.abs));
      const errors = wanted.map((value, i) => Math.abs(value - (actual?.[i] ?? NaN)) / scale);
      expect(Math.max(...errors), name).toBeLessThan(TOLERANCE);
    }
  });
});

function inputsOf(graph: Graph): ReadonlyMap<string, Float32Array> {
  const nodes = nodesOf(graph).filter(({ op }) => op.type === 'input');
  return new Map(
    nodes.map(({ name, shape }) => [name, new Random(name).array(elements(shape)).map(Math.abs)]),
  );
}
