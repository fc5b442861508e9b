import { describe, expect, it, test } from 'vitest';

import { GraphBuilder } from '../../src/graph/builder.ts';
import type { Graph } from '../../src/graph/graph.ts';
import { elements, nodesOf, selectOutputs } from '../../src/graph/graph.ts';
import { lower, macsOf } from '../../src/graph/lower.ts';
import type { Op } from '../../src/graph/op.ts';
import { optimize } from '../../src/graph/passes/index.ts';
import type { Problem } from '../../src/kernels/problem.ts';
import { signature } from '../../src/kernels/signature.ts';
import type { TrainingProblem } from '../../src/kernels/training/problems.ts';
import { costsOfOptimized, kernelCosts, totalCost } from '../../src/lab/costs.ts';
import { convFirst, mbConv } from '../../src/models/convfirst.ts';
import { buildModel, modelNames } from '../../src/models/zoo.ts';

/** A network of one or more layers on a map of [2, 8, 8, 16]. */
function network(
  layers: (b: GraphBuilder, x: ReturnType<GraphBuilder['input']>) => ReturnType<GraphBuilder['input']>,
): Graph {
  const b = new GraphBuilder('test');
  b.output('y', layers(b, b.input([2, 8, 8, 16])));
  return b.build();
}

const MAP = 2 * 8 * 8 * 16;
const ROWS = 2 * 8 * 8;

describe('a kernel costs its operations, and every element once', () => {
  it.each([
    [
      'conv',
      { outputs: 32, kernel: 3, bias: true },
      2 * ROWS * 32 * 16 * 9,
      MAP + 2 * MAP + 32 * 16 * 9 + 32,
    ],
    ['grouped', { outputs: 16, kernel: 3, groups: 2 }, 2 * ROWS * 16 * 8 * 9, 2 * MAP + 16 * 8 * 9],
    ['depthwise', { outputs: 16, kernel: 5, groups: 'depthwise' }, 2 * ROWS * 16 * 25, 2 * MAP + 16 * 25],
    [
      'pointwise',
      { outputs: 16, kernel: 1, stride: 2, padding: 0 },
      (2 * ROWS * 16 * 16) / 4,
      MAP + MAP / 4 + 16 * 16,
    ],
  ] as const)('%s', (kind, options, ops, elements) => {
    const graph = network((b, x) => b.conv(x, 'layer', options));
    expect(kernelCosts(graph)).toEqual([{ name: 'layer', kind, ops, bytes: 2 * elements }]);
    expect(kernelCosts(graph, { dtype: 'f32' })).toEqual([{ name: 'layer', kind, ops, bytes: 4 * elements }]);
  });

  it('norms, activations and residuals belong to the layer before; a residual is read', () => {
    const graph = network((b, x) => {
      const y = b.relu(b.batchNorm(b.conv(x, 'first', { outputs: 16, kernel: 1 }), 'norm'));
      return b.relu(b.add(b.batchNorm(b.conv(y, 'second', { outputs: 16, kernel: 1 }), 'norm2'), x));
    });
    const weights = 16 * 16 + 16;
    expect(kernelCosts(graph)).toEqual([
      { name: 'first', kind: 'pointwise', ops: 2 * ROWS * 256, bytes: 2 * (2 * MAP + weights) },
      { name: 'second', kind: 'pointwise', ops: 2 * ROWS * 256, bytes: 2 * (3 * MAP + weights) },
    ]);
  });

  it('pooling, products, norms and sums that stand alone have bytes and no operations', () => {
    const kernels = kernelCosts(
      network((b, x) => {
        const pooled = b.maxPool(x, { kernel: 2, stride: 2 });
        const gated = b.channelScale(pooled, b.globalPool(pooled));
        return b.add(b.softmax(b.layerNorm(gated, 'norm')), pooled);
      }),
    );
    const small = MAP / 4;
    expect(kernels.map(({ kind, ops, bytes }) => [kind, ops, bytes / 2])).toEqual([
      ['pool', 0, MAP + small],
      ['pool', 0, small + 2 * 16],
      ['multiply', 0, 2 * small + 2 * 16],
      ['norm', 0, 2 * small + 2 * 16],
      ['elementwise', 0, 2 * small],
      ['elementwise', 0, 3 * small],
    ]);
  });

  it('concatenation copies what its producer cannot store in place', () => {
    const kernels = kernelCosts(
      network((b, x) => b.concat(b.conv(x, 'layer', { outputs: 16, kernel: 3 }), x)),
    );
    expect(kernels[1]).toEqual({ name: 'concat', kind: 'cat', ops: 0, bytes: 2 * 2 * MAP });
  });
});

describe('squeeze-and-excitation', () => {
  const gated = (groups: 'depthwise' | 2): Graph =>
    network((b, x) => {
      const y = b.conv(x, 'spatial', { outputs: 16, kernel: 3, groups });
      const gate = b.conv(b.globalPool(y), 'gate', { outputs: 16, kernel: 1, padding: 0 });
      return b.conv(b.channelScale(y, gate), 'project', { outputs: 16, kernel: 1 });
    });
  const kinds = (graph: Graph, squeezeExcite?: 'kernels' | 'fused' | 'auto'): string =>
    kernelCosts(graph, squeezeExcite && { squeezeExcite })
      .map(({ kind }) => kind)
      .join(' ');

  it('is kernels of its own behind grouped convolutions, and part of its neighbours behind depthwise ones', () => {
    const separate = 'pool pointwise multiply pointwise';
    expect(kinds(gated(2))).toBe(`grouped ${separate}`);
    expect(kinds(gated('depthwise'))).toBe('depthwise pointwise pointwise');
    expect(kinds(gated('depthwise'), 'kernels')).toBe(`depthwise ${separate}`);
    expect(kinds(gated(2), 'fused')).toBe('grouped pointwise pointwise');
  });

  it('in its neighbours moves neither the map again nor its product', () => {
    const [kernels, fused] = (['kernels', 'fused'] as const).map((squeezeExcite) =>
      totalCost(kernelCosts(gated(2), { squeezeExcite })),
    );
    expect(kernels?.ops).toBe(fused?.ops);
    // Without the pooling's read of the map, and the product's write that is read at once.
    expect((kernels?.bytes ?? 0) - (fused?.bytes ?? 0)).toBe(2 * 3 * MAP);
  });
});

test.each(modelNames())('%s: every multiply-accumulate is in a kernel, fused or not', (name) => {
  const graph = selectOutputs(buildModel(name, { resolution: 64 }), ['logits']);
  const [layerWise, fused] = [totalCost(kernelCosts(graph)), totalCost(kernelCosts(graph, { fused: true }))];
  // Merging parallel kernels may save some.
  expect(layerWise.ops).toBeLessThanOrEqual(2 * macsOf(graph));
  expect(layerWise.ops).toBeGreaterThan(1.97 * macsOf(graph));
  expect(fused.ops).toBe(layerWise.ops);
  expect(fused.bytes).toBeLessThanOrEqual(layerWise.bytes);
});

test('an op without a cost is named', () => {
  const graph = network((b, x) => b.relu(x));
  const strange = {
    ...graph.input,
    name: 'blocks.0.attention',
    op: { type: 'attention' } as unknown as Op,
    inputs: [graph.input],
  };
  const broken = { ...graph, outputs: new Map([['y', strange]]) };
  expect(() => kernelCosts(broken)).toThrow(/no cost of the op "attention" of blocks\.0\.attention/);
});

test('graphs may be given as they run', () => {
  const graph = network((b, x) => b.relu(b.conv(x, 'layer', { outputs: 16, kernel: 1 })));
  expect(costsOfOptimized(graph).map(({ kind }) => kind)).toEqual(['pointwise', 'elementwise']);
});

test.each([
  [1, 16],
  [2, 24],
])(
  'a ConvFirst block of stride %i costs the same as layers that are grouped and as one kernel',
  (stride, outputs) => {
    const graph = network((b, x) => convFirst(b, x, 'block', { expansion: 3, outputs, stride }));
    const asGroup = costsOfOptimized(optimize(graph), { fused: true });
    const asKernel = costsOfOptimized(optimize(graph, { worthFusing: ({ op }) => op === 'convfirst' }));
    expect(asKernel.map(({ kind, ops, bytes }) => ({ kind, ops, bytes }))).toEqual(
      asGroup.map(({ kind, ops, bytes }) => ({ kind, ops, bytes })),
    );
  },
);

test('an MBConv block costs the same as layers that are grouped and as one kernel', () => {
  const graph = network((b, x) => mbConv(b, x, 'block', { expansion: 4, outputs: 16, stride: 1 }));
  const asGroup = costsOfOptimized(optimize(graph), { fused: true });
  const asKernel = costsOfOptimized(optimize(graph, { worthFusing: ({ op }) => op === 'mbconv' }));
  expect(asKernel.map(({ kind, ops, bytes }) => ({ kind, ops, bytes }))).toEqual(
    asGroup.map(({ kind, ops, bytes }) => ({ kind, ops, bytes })),
  );
  expect(asKernel).toHaveLength(1);
});

/** All ops of inference; the families of kernels for one op share its cost. */
const OPS = {
  ...{ depthwise: 0, pointwise: 0, conv: 0, ffn: 0, convfirst: 0, 'convfirst-chain': 0, mbconv: 0 },
  ...{ 'layer-norm': 0, 'batch-norm': 0, pool: 0, 'global-pool': 0, softmax: 0, elementwise: 0 },
  ...{ 'channel-scale': 0, 'blur-pool': 0, resize: 0, concat: 0 },
} satisfies Record<Exclude<Problem['op'], TrainingProblem['op']>, 0>;

test('operations and bytes are those that the kernels report about themselves, for every op', () => {
  const layers = network((b, x) => {
    const y = b.batchNorm(b.relu(b.maxPool(x, { kernel: 2, stride: 2 })), 'norm');
    const z = b.layerScale(b.softmax(b.add(b.blurPool(x, 2), y)), 'gamma');
    // A layer whose residual is its own input reads it twice.
    const large = b.resize(z, 8, 8);
    return b.add(b.conv(large, 'layer', { outputs: 16, kernel: 3 }), large);
  });
  const models = [
    'convnext-tiny',
    'replknet-31b',
    'slak-tiny',
    'resnet-50',
    'efficientnet-b0',
    'convfirst-pico',
  ];
  const graphs = [
    layers,
    ...models.map((name) => selectOutputs(buildModel(name, { resolution: 64 }), ['logits'])),
  ].flatMap((graph) => [graph, optimize(graph), optimize(graph, { worthFusing: () => true })]);

  const seen = new Set<string>();
  for (const graph of graphs) {
    const reported = nodesOf(graph).flatMap((node) => {
      if (node.op.type === 'input') return [];
      const { problem, inputs } = lower(node, (channels) => channels);
      seen.add(problem.op);
      // Layers store their part of a concatenation in place, which is a convention of the lab.
      if (problem.op === 'concat') return [];
      const { macs, bytes } = signature(problem).cost;
      // A block reads its input once, also where it is the shortcut; its problem does not know that they are one.
      const isBlock = ['ffn', 'convfirst', 'mbconv'].includes(problem.op);
      const shortcut = isBlock && inputs.get('residual') === inputs.get('x') ? inputs.get('x') : undefined;
      return {
        name: node.name,
        // Papers do not count a layer scale, which runs as a convolution.
        ops: node.op.type === 'layer-scale' ? 0 : 2 * macs,
        bytes: bytes - 4 * (shortcut === undefined ? 0 : elements(shortcut.shape)),
      };
    });
    const costs = costsOfOptimized(graph, { dtype: 'f32', squeezeExcite: 'kernels' });
    expect(
      costs.filter(({ kind }) => kind !== 'cat').map(({ name, ops, bytes }) => ({ name, ops, bytes })),
      graph.name,
    ).toEqual(reported);
  }
  expect([...seen].sort()).toEqual(Object.keys(OPS).sort());
});
