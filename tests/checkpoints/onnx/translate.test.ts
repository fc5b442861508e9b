import { InferenceSession } from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';

import { exportOnnxBytes } from '../../../src/checkpoints/onnx/export.ts';
import type { OnnxOptions } from '../../../src/checkpoints/onnx/export.ts';
import { Random } from '../../../src/core/random.ts';
import { GraphBuilder, makeNode } from '../../../src/graph/builder.ts';
import { evaluate } from '../../../src/graph/evaluate.ts';
import { elements, nodesOf } from '../../../src/graph/graph.ts';
import type { Graph } from '../../../src/graph/graph.ts';
import { optimize } from '../../../src/graph/passes/index.ts';
import { graphCases, graphOf, poolNode, randomGraph, smallNetwork } from '../../support/graph-cases.ts';
import { memoryWeights, randomValues, runExported } from '../../support/onnx.ts';
import { networkTolerance } from '../../support/tolerance.ts';

/** ONNX Runtime rounds positions on the maps of these tests, up to 12, to float32; their fractions are weights of a resize. */
const POSITIONS = 12 * 2 ** -24;

/** Outputs of ONNX Runtime on `batch` images are those of the float64 evaluation, image by image. */
async function expectEqualOutputs(graph: Graph, options: OnnxOptions = {}, batch = 1): Promise<void> {
  const values = randomValues(graph);
  const read = (key: string): Float32Array => values.get(key) ?? new Float32Array();
  const size = elements(graph.input.shape);
  const input = new Random('input').array(size * batch);
  const results = await runExported(graph, values, input, options);
  expect([...results.keys()]).toEqual([...graph.outputs.keys()]);
  const expected = Array.from({ length: batch }, (_, n) =>
    evaluate(graph, input.subarray(n * size, (n + 1) * size), read),
  );
  for (const [name, { nhwc }] of results) {
    const wanted = expected.flatMap((outputs) => [...(outputs.get(name) ?? [])]);
    expect(nhwc.length).toBe(wanted.length);
    const largest = wanted.reduce((max, y) => Math.max(max, Math.abs(y)), 0);
    const error = wanted.reduce((max, y, i) => Math.max(max, Math.abs(y - (nhwc[i] ?? NaN))), 0);
    expect(largest).toBeGreaterThan(0);
    expect(error / largest).toBeLessThan(networkTolerance(graph) + POSITIONS);
  }
}

describe.each([17, 18, 20, 22])('opset %i: ONNX Runtime computes what the graph means', (opset) => {
  test.each(Object.entries(graphCases))('%s', async (_, build) => {
    await expectEqualOutputs(graphOf(build), { opset });
  });
});

test.each(Object.entries(graphCases))('a graph of one image takes three: %s', async (_, build) => {
  await expectEqualOutputs(graphOf(build), {}, 3);
});

test.each(Object.entries(graphCases))('linear layers as convolutions: %s', async (_, build) => {
  await expectEqualOutputs(graphOf(build), { linear: 'conv' });
});

test.each([
  [1, 7],
  [5, 1],
  [1, 1],
])('blur pool of a %i×%i map', async (height, width) => {
  await expectEqualOutputs(graphOf((b, x) => b.blurPool(x, 2), [1, height, width, 3]));
});

test('dilated average pools need opset 19, and errors say so', async () => {
  const graph = graphOf((_, x) => poolNode(x, { dilation: 2, countPadding: true }));
  await expectEqualOutputs(graph, { opset: 20 });
  await expect(exportOnnxBytes(graph, memoryWeights(new Map()))).rejects.toThrow('opset 19');
});

test.each([1, 2, 3, 4, 5, 6, 7, 8])('random network %i, plain and optimized', async (seed) => {
  const graph = randomGraph(seed);
  await expectEqualOutputs(graph, { opset: seed % 2 === 0 ? 17 : 20 }, 2);
  await expectEqualOutputs(optimize(graph), { opset: seed % 2 === 0 ? 20 : 17 }, 2);
});

test('inputs and outputs are as ONNX users expect: NCHW, any batch, vectors behind the global pool', async () => {
  const graph = smallNetwork();
  const weights = memoryWeights(randomValues(graph));
  const session = await InferenceSession.create(await exportOnnxBytes(graph, weights));
  const shapes = (data: readonly InferenceSession.ValueMetadata[]) =>
    data.map((value) => [value.name, value.isTensor ? value.shape : undefined]);
  expect(shapes(session.inputMetadata)).toEqual([['input', ['N', 3, 16, 20]]]);
  expect(shapes(session.outputMetadata)).toEqual([
    ['stages.0', ['N', 8, 4, 5]],
    ['pooled', ['N', 8]],
    ['logits', ['N', 10]],
  ]);
  await session.release();
  const fixed = await InferenceSession.create(await exportOnnxBytes(graph, weights, { dynamicBatch: false }));
  expect(shapes(fixed.inputMetadata)).toEqual([['input', [1, 3, 16, 20]]]);
  await fixed.release();
});

test('a ConvNeXt block has the two transposes that PyTorch exports', async () => {
  const model = await exportOnnxBytes(smallNetwork(), memoryWeights(randomValues(smallNetwork())));
  const text = Buffer.from(model).toString('latin1');
  // Each node names its operator, and itself after the module and the operator.
  expect(text.match(/Transpose"/g)).toHaveLength(2);
  for (const key of [
    'stem.weight',
    'dwconv.weight',
    'norm.weight',
    'pwconv1.weight.T',
    'head.weight',
    'gamma',
  ]) {
    expect(text).toContain(key);
  }
});

test('an output that is an input of other nodes, or an output twice, keeps all its names', async () => {
  const b = new GraphBuilder('names');
  const x = b.output('same', b.input([1, 3, 3, 4]));
  const y = b.output('first', b.output('second', b.relu(x)));
  b.output('last', b.add(x, y));
  await expectEqualOutputs(b.build());
});

test('layers that share a name or a key of a derived weight stay apart', async () => {
  const b = new GraphBuilder('shared names');
  const x = b.input([1, 3, 3, 4]);
  const derived = (factor: number) => ({
    key: 'w.weight',
    shape: [4, 4, 1, 1],
    buffer: false,
    derivation: {
      from: [{ key: 'w.weight', shape: [4, 4, 1, 1], buffer: false }],
      compute: ([weight = new Float32Array()]: readonly Float32Array[]) => weight.map((v) => v * factor),
    },
  });
  const { op } = b.conv(x, 'c', { outputs: 4, kernel: 1 });
  const branches = [1, -2].map((factor) => makeNode('c', op, [x], { weight: derived(factor) }));
  b.output('y', b.add(...branches));
  await expectEqualOutputs(b.build());
});

test('every op is exported in some case', () => {
  const types = new Set(
    Object.values(graphCases).flatMap((build) => nodesOf(graphOf(build)).map(({ op }) => op.type)),
  );
  expect([...types].sort()).toEqual([
    'batch-norm',
    'blur-pool',
    'channel-scale',
    'concat',
    'conv',
    'convfirst',
    'elementwise',
    'ffn',
    'global-pool',
    'input',
    'layer-norm',
    'layer-scale',
    'linear',
    'mbconv',
    'pool',
    'resize',
    'softmax',
  ]);
});
