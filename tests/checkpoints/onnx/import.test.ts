import { describe, expect, test } from 'vitest';

import { exportOnnxBytes } from '../../../src/checkpoints/onnx/export.ts';
import { importOnnx } from '../../../src/checkpoints/onnx/import.ts';
import { syntheticInput, syntheticWeights } from '../../../src/checkpoints/synthetic.ts';
import { elements, nodesOf, parametersOf, selectOutputs } from '../../../src/graph/graph.ts';
import type { Graph } from '../../../src/graph/graph.ts';
import { macsOf } from '../../../src/graph/lower.ts';
import { kernelCosts, totalCost } from '../../../src/lab/costs.ts';
import { convfirst } from '../../../src/models/convfirst.ts';
import { convnext } from '../../../src/models/convnext.ts';
import type { ModelVariant } from '../../../src/models/model.ts';
import { replknet } from '../../../src/models/replknet.ts';
import { resnet } from '../../../src/models/resnet.ts';
import { slak } from '../../../src/models/slak.ts';
import { findModel, variants } from '../../../src/models/zoo.ts';
import { openDevice } from '../../../src/runtime/open.ts';
import { createSession } from '../../../src/runtime/session.ts';
import type { WeightSource } from '../../../src/checkpoints/source.ts';

/** Every family, as narrow as it goes: structure is what matters, and values take time. */
const NETWORKS: readonly ModelVariant[] = [
  convfirst({ channels: [16, 16, 32, 48, 64, 64], depths: [1, 2, 1, 2, 1] }),
  convnext({ depths: [1, 1, 2, 1], channels: [8, 16, 24, 32] }),
  findModel('efficientnet-b0'),
  findModel('efficientnet-v2-s'),
  findModel('mobilenet-v2'),
  resnet({ depths: [1, 2, 1, 1], width: 16 }),
  replknet({ kernels: [31, 29, 27, 13], channels: [8, 16, 24, 32], depths: [1, 1, 2, 1], smallKernel: 5 }),
  slak({ depths: [1, 1, 2, 1], channels: [8, 16, 24, 32] }),
];
const RESOLUTION = 64;

test('every family is here', () => {
  expect(new Set(NETWORKS.map(({ family }) => family))).toEqual(
    new Set(variants.map(({ family }) => family)),
  );
});

/** Networks of the zoo whose values take too long are compared by costs alone. */
const LARGE = new Set(['efficientnet-v2-s']);

describe.each(NETWORKS.map((variant) => [variant.name, variant] as const))('%s', (name, variant) => {
  const graph = selectOutputs(variant.build({ resolution: RESOLUTION }), ['logits']);
  const weights = LARGE.has(name) ? zeros(graph) : syntheticWeights(parametersOf(graph));

  test.each([
    [17, 'matmul'],
    [20, 'conv'],
  ] as const)(
    'exported with opset %i and imported again: the same costs and outputs',
    async (opset, linear) => {
      const bytes = await exportOnnxBytes(graph, weights, { opset, linear });
      const imported = importOnnx(bytes, { resolution: RESOLUTION });
      expect(macsOf(imported.graph)).toBe(macsOf(graph));
      expect(totalCost(kernelCosts(imported.graph)).ops).toBe(totalCost(kernelCosts(graph)).ops);
      expect(Math.abs(bytesOf(imported.graph) / bytesOf(graph) - 1)).toBeLessThan(1e-3);
      if (LARGE.has(name)) return;
      const input = syntheticInput([1, 3, RESOLUTION, RESOLUTION]);
      const wanted = await run(graph, weights, input);
      const found = await run(imported.graph, imported.weights, input);
      const scale = Math.max(...wanted.map(Math.abs));
      expect(Math.max(...wanted.map((value, i) => Math.abs(value - (found[i] ?? NaN)))) / scale).toBeLessThan(
        1e-5,
      );
    },
  );

  test('imported for another batch, it costs as many times as much', async () => {
    const bytes = await exportOnnxBytes(graph, zeros(graph), { dynamicBatch: false });
    const imported = importOnnx(bytes, { batch: 6 });
    expect(imported.graph.input.shape[0]).toBe(6);
    expect(macsOf(imported.graph)).toBe(6 * macsOf(graph));
  });
});

test('parameters have the names of the state dict, also where the file holds their transposes', async () => {
  const graph = selectOutputs(findModel('convnext-tiny').build({ resolution: 32 }), ['logits']);
  const imported = importOnnx(await exportOnnxBytes(graph, zeros(graph)), { resolution: 32 });
  const keysOf = (one: Graph): string[] => parametersOf(one).map(({ key }) => key);
  expect(keysOf(imported.graph).toSorted()).toEqual(keysOf(graph).toSorted());
  const opsOf = (one: Graph): string[] => nodesOf(one).map(({ op }) => op.type);
  expect(opsOf(imported.graph).toSorted()).toEqual(opsOf(graph).toSorted());
});

function bytesOf(graph: Graph): number {
  return totalCost(kernelCosts(graph)).bytes;
}

async function run(
  graph: Graph,
  weights: Pick<WeightSource, 'read'>,
  input: Float32Array,
): Promise<Float32Array> {
  await using device = await openDevice('wasm', { threads: 2 });
  await using session = await createSession(device, graph, weights);
  return (await session.run(input)).get('logits') ?? new Float32Array();
}

/** Weights for what depends on shapes alone. */
function zeros(graph: Graph): Pick<WeightSource, 'read'> {
  const shapes = new Map(parametersOf(graph).map(({ key, shape }) => [key, shape]));
  return { read: (key) => Promise.resolve(new Float32Array(elements(shapes.get(key) ?? []))) };
}
