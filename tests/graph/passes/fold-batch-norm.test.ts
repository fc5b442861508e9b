import { describe, expect, it } from 'vitest';
import { GraphBuilder } from '../../../src/graph/builder.ts';
import { evaluate, parameterValues } from '../../../src/graph/evaluate.ts';
import { nodesOf, parametersOf } from '../../../src/graph/graph.ts';
import type { Graph, Node, Shape } from '../../../src/graph/graph.ts';
import { foldBatchNorm } from '../../../src/graph/passes/fold-batch-norm.ts';
import { fuseEpilogues } from '../../../src/graph/passes/fuse-epilogues.ts';
import { Random } from '../../../src/core/random.ts';
import golden from '../../fixtures/unit.json' with { type: 'json' };
import merge from '../../fixtures/merge.json' with { type: 'json' };
import { convBn } from '../../support/blocks.ts';
import { countOps, expectSameOutputs, weightsFor } from '../../support/graph-values.ts';

function graphOf(build: (b: GraphBuilder, x: Node) => Node, shape: Shape = [2, 5, 4, 4]): Graph {
  const b = new GraphBuilder('test');
  b.output('y', build(b, b.input(shape)));
  return b.build();
}

function expectFolded(graph: Graph, counts: Record<string, number>): Graph {
  const folded = foldBatchNorm(graph);
  expectSameOutputs(folded, graph);
  expect(countOps(folded)).toEqual(counts);
  return folded;
}

describe('foldBatchNorm', () => {
  describe('against PyTorch', () => {
    const check = (
      options: { outputs: number; kernel: number; groups: number; weightKey: string; norm: string },
      expected: { weight: number[]; bias: number[] },
      y: { first32: number[]; sum: number },
    ): void => {
      const { outputs, kernel, groups, weightKey, norm } = options;
      const graph = graphOf((b, x) => b.batchNorm(b.conv(x, 'conv', { outputs, kernel, groups }), norm), [1, 20, 17, 3]); // prettier-ignore
      const defaults = weightsFor(graph);
      const values = (key: string): Float32Array => {
        if (key !== 'conv.weight') return defaults(key);
        return new Random(weightKey).array(defaults(key).length);
      };
      const folded = foldBatchNorm(graph);
      const [weight = [], bias = []] = parametersOf(folded).map((p) =>
        Array.from(parameterValues(p, values)),
      );
      const largest = Math.max(...expected.weight.map(Math.abs));
      expect(weight.length).toBe(expected.weight.length);
      weight.forEach((w, i) =>
        expect(Math.abs(w - (expected.weight[i] ?? NaN))).toBeLessThan(largest * 1e-7),
      );
      bias.forEach((v, i) => expect(Math.abs(v - (expected.bias[i] ?? NaN))).toBeLessThan(1e-8));

      const nchw = new Random('unit.x').array(3 * 340);
      const x = Float64Array.from(nchw, (_, i) => nchw[(i % 3) * 340 + Math.floor(i / 3)] ?? NaN);
      const output = evaluate(folded, x, values).get('y') ?? new Float64Array();
      y.first32.forEach((v, i) => expect(output[i * outputs] ?? NaN).toBeCloseTo(v, 6));
      expect(output.reduce((sum, v) => sum + v, 0)).toBeCloseTo(y.sum, 4);
    };

    it('behind a depthwise and a 1×1 convolution', () => {
      check(
        { outputs: 3, kernel: 3, groups: 3, weightKey: 'unit.w', norm: 'unit.bn' },
        merge.foldedDepthwise,
        golden.batchNorm.depthwise,
      );
      check(
        { outputs: 4, kernel: 1, groups: 1, weightKey: 'unit.pw', norm: 'unit.bn4' },
        merge.foldedPointwise,
        golden.batchNorm.pointwise,
      );
    });
  });

  it('into the layer before it: with and without bias, grouped, linear', () => {
    const graph = graphOf((b, x) => {
      let y = b.batchNorm(b.conv(x, 'a', { outputs: 6, kernel: 3, groups: 2, bias: true }), 'na', 1e-3);
      y = b.batchNorm(b.conv(y, 'c', { outputs: 4, kernel: 1 }), 'nc');
      return b.batchNorm(b.linear(y, 'd', 5), 'nd');
    });
    const folded = expectFolded(graph, { conv: 2, linear: 1 });
    expect(parametersOf(folded).map(({ key }) => key)).toEqual(
      ['a.weight with na', 'a.bias with na', 'c.weight with nc', 'c.bias with nc', 'd.weight with nd', 'd.bias with nd'], // prettier-ignore
    );
  });

  it('into all layers behind it that have no padding', () => {
    const graph = graphOf((b, x) => {
      const y = b.batchNorm(b.relu(x), 'pre');
      const pointwise = b.conv(y, 'a', { outputs: 6, kernel: 1 });
      const patches = b.conv(y, 'c', { outputs: 6, kernel: [5, 4], padding: 0, groups: 2, bias: true });
      return b.add(b.globalPool(pointwise), patches, b.globalPool(b.linear(y, 'd', 6)));
    });
    expectFolded(graph, { elementwise: 2, conv: 2, linear: 1, 'global-pool': 2 });
  });

  it('on both sides of one layer', () => {
    const graph = graphOf((b, x) => convBn(b, b.batchNorm(x, 'pre'), 'pw1', 8));
    const folded = expectFolded(graph, { conv: 1 });
    expect(parametersOf(folded).map(({ key }) => key)).toEqual([
      'pw1.conv.weight with pre with pw1.bn',
      'pw1.conv.bias with pre with pw1.bn',
    ]);
  });

  it('across a mean over pixels into the classifier', () => {
    const graph = graphOf((b, x) => b.linear(b.globalPool(b.batchNorm(b.relu(x), 'norm')), 'head', 3));
    expectFolded(graph, { elementwise: 1, 'global-pool': 1, linear: 1 });
  });

  it('moves behind a mean over pixels even where no layer takes it, but not away from a layer before it', () => {
    const graph = graphOf((b, x) => b.softmax(b.globalPool(b.batchNorm(b.relu(x), 'norm'))));
    const folded = expectFolded(graph, { elementwise: 1, 'global-pool': 1, 'batch-norm': 1, softmax: 1 });
    expect(nodesOf(folded).find(({ op }) => op.type === 'batch-norm')?.shape).toEqual([2, 1, 1, 4]);
    const behindConv = graphOf((b, x) => b.softmax(b.globalPool(convBn(b, x, 'a', 3))));
    expectFolded(behindConv, { conv: 1, 'global-pool': 1, softmax: 1 });
  });

  it('keeps the activation of a norm', () => {
    const withRelu = fuseEpilogues(graphOf((b, x) => b.relu(b.batchNorm(x, 'n'))));
    expect(countOps(withRelu)).toEqual({ 'batch-norm': 1 });
    // A norm with an activation may go into the layer before it, but not into one behind.
    const [norm] = withRelu.outputs.values();
    if (norm === undefined) throw new Error('no output');
    const b = new GraphBuilder('test');
    b.output('y', b.linear({ ...norm, inputs: [b.conv(b.input([2, 5, 4, 4]), 'c', { outputs: 4, kernel: 3 })] }, 'head', 3)); // prettier-ignore
    const folded = expectFolded(b.build(), { conv: 1, linear: 1 });
    expect(nodesOf(folded)[1]?.op).toMatchObject({ epilogue: { bias: true, activation: 'relu' } });
    const c = new GraphBuilder('test');
    c.output('y', c.linear({ ...norm, inputs: [c.input([2, 5, 4, 4])] }, 'head', 3));
    expectFolded(c.build(), { 'batch-norm': 1, linear: 1 });
    // Nor may the mean be taken before it.
    const pooled = new GraphBuilder('test');
    const input = pooled.input([2, 5, 4, 4]);
    pooled.output('y', pooled.globalPool({ ...norm, inputs: [input] }));
    expect(nodesOf(foldBatchNorm(pooled.build())).map(({ op }) => op.type)).toEqual([
      'input',
      'batch-norm',
      'global-pool',
    ]);
  });

  describe('leaves alone', () => {
    it('norms that are read as a residual too', () => {
      const graph = graphOf((b, x) => {
        const y = b.batchNorm(x, 'n');
        return b.add(y, b.conv(y, 'a', { outputs: 4, kernel: 1 }));
      });
      expectFolded(graph, { 'batch-norm': 1, conv: 1, elementwise: 1 });
      expectFolded(fuseEpilogues(graph), { 'batch-norm': 1, conv: 1 });
    });

    it('norms before padding', () => {
      expectFolded(
        graphOf((b, x) => b.conv(b.batchNorm(x, 'n'), 'a', { outputs: 2, kernel: 3 })),
        { 'batch-norm': 1, conv: 1 },
      );
    });

    it('layers that others read', () => {
      const graph = graphOf((b, x) => {
        const y = b.conv(x, 'a', { outputs: 4, kernel: 3 });
        return b.add(b.batchNorm(y, 'n'), y);
      });
      expectFolded(graph, { 'batch-norm': 1, conv: 1, elementwise: 1 });
    });

    it('layers with an activation', () => {
      const graph = graphOf((b, x) => b.batchNorm(b.relu(b.conv(x, 'a', { outputs: 4, kernel: 3 })), 'n'));
      expectFolded(fuseEpilogues(graph), { 'batch-norm': 1, conv: 1 });
    });

    it('outputs of the graph', () => {
      const graph = graphOf((b, x) => {
        const conv = b.output('conv', b.conv(x, 'a', { outputs: 4, kernel: 3 }));
        const norm = b.output('norm', b.batchNorm(conv, 'n'));
        return b.linear(b.globalPool(norm), 'head', 3);
      });
      expectFolded(graph, { conv: 1, 'batch-norm': 1, 'global-pool': 1, linear: 1 });
    });
  });
});
