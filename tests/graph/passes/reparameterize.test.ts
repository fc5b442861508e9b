import { describe, expect, it } from 'vitest';
import { Random } from '../../../src/core/random.ts';
import { GraphBuilder } from '../../../src/graph/builder.ts';
import { dump } from '../../../src/graph/dump.ts';
import { evaluate, parameterValues } from '../../../src/graph/evaluate.ts';
import { nodesOf, parametersOf } from '../../../src/graph/graph.ts';
import type { Graph, Node } from '../../../src/graph/graph.ts';
import { reparameterize } from '../../../src/graph/passes/reparameterize.ts';
import { macsOf } from '../../../src/graph/lower.ts';
import type { Problem } from '../../../src/kernels/problem.ts';
import merge from '../../fixtures/merge.json' with { type: 'json' };
import { convBn, replkBlocks, replkKernel, slakKernel } from '../../support/blocks.ts';
import { countOps, expectSameOutputs, weightsFor } from '../../support/graph-values.ts';

function graphOf(build: (b: GraphBuilder, x: Node) => Node, height = 9, width = 7, channels = 3): Graph {
  const b = new GraphBuilder('test');
  b.output('y', build(b, b.input([2, height, width, channels])));
  return b.build();
}

interface DepthwiseOptions {
  readonly kernel: number | readonly [number, number];
  readonly stride?: number;
  readonly dilation?: number;
  readonly padding?: number;
  readonly bias?: boolean;
}

function depthwise(b: GraphBuilder, x: Node, name: string, options: DepthwiseOptions): Node {
  return b.conv(x, name, { ...options, outputs: x.shape[3], groups: 'depthwise' });
}

const keysOf = (graph: Graph): string[] => parametersOf(graph).map(({ key }) => key);

describe('reparameterize', () => {
  describe('against PyTorch', () => {
    // The goldens are float64 results with 10 digits; merged weights are rounded to float32.
    const expectClose = (actual: ArrayLike<number>, expected: readonly number[]): void => {
      expect(actual.length).toBe(expected.length);
      expected.forEach((value, i) => expect(Math.abs((actual[i] ?? NaN) - value)).toBeLessThan(2e-7));
    };
    const goldenInput = (): Float64Array => {
      const nchw = new Random('unit.x').array(2 * 20 * 17);
      return Float64Array.from(nchw, (_, i) => nchw[(i % 2) * 340 + Math.floor(i / 2)] ?? NaN);
    };
    const check = (
      build: (b: GraphBuilder, x: Node) => Node,
      { weight, every, bias, y }: { weight: number[]; every: number; bias: number[]; y: number[] },
    ): void => {
      const b = new GraphBuilder('golden');
      b.output('y', build(b, b.input([1, 20, 17, 2])));
      const graph = b.build();
      const merged = reparameterize(graph);
      const values = weightsFor(graph);
      expect(keysOf(merged)).toEqual(['lkb_reparam.weight', 'lkb_reparam.bias']);
      const [mergedWeight = [], mergedBias = []] = parametersOf(merged).map((p) =>
        parameterValues(p, values),
      );
      expectClose(
        Array.from(mergedWeight).filter((_, i) => i % every === 0),
        weight,
      );
      expectClose(mergedBias, bias);
      const output = evaluate(merged, goldenInput(), values).get('y') ?? new Float64Array();
      const nchw = Array.from(output, (_, i) => output[(i % 340) * 2 + Math.floor(i / 340)] ?? NaN);
      expectClose(
        nchw.filter((_, i) => i % 3 === 0),
        y,
      );
    };

    // The golden's keys have no module in front: names begin with the branch.
    const named = (b: GraphBuilder, x: Node, parts: readonly (readonly [string, number, number])[]): Node =>
      b.add(
        ...parts.map(([part, kh, kw]) =>
          b.batchNorm(depthwise(b, x, `${part}.conv`, { kernel: [kh, kw] }), `${part}.bn`),
        ),
      );

    it("RepLKNet's 31×31 + 5×5", () => {
      const { weightEvery7th: weight, bias, yEvery3rd: y } = merge.replk;
      check((b, x) => named(b, x, [['lkb_origin', 31, 31], ['small_conv', 5, 5]]), { weight, every: 7, bias, y }); // prettier-ignore
    });

    it("SLaK's 51×5 + 5×51 + 5×5", () => {
      const { weightEvery17th: weight, bias, yEvery3rd: y } = merge.slak;
      check((b, x) => named(b, x, [['LoRA1', 51, 5], ['LoRA2', 5, 51], ['small_conv', 5, 5]]), { weight, every: 17, bias, y }); // prettier-ignore
    });
  });

  it('gives the official keys of a merged RepLKNet, and leaves everything else alone', () => {
    const graph = graphOf((b, x) => replkBlocks(b, x, 'stages.0', 9, 5));
    const merged = reparameterize(graph);
    expectSameOutputs(merged, graph);
    const kernel = 'stages.0.blocks.0.large_kernel';
    const own = (key: string): boolean => key.startsWith(`${kernel}.`);
    expect(keysOf(merged).filter(own)).toEqual([
      `${kernel}.lkb_reparam.weight`,
      `${kernel}.lkb_reparam.bias`,
    ]);
    expect(keysOf(merged).filter((key) => !own(key))).toEqual(keysOf(graph).filter((key) => !own(key)));
    expect(parametersOf(merged).find(({ key }) => own(key))?.shape).toEqual([3, 1, 9, 9]); // prettier-ignore
    expect(macsOf(graph) - macsOf(merged)).toBe(2 * 9 * 7 * 3 * 25);
  });

  it('RepLKNet without a small kernel: the large kernel takes its norm', () => {
    const graph = graphOf((b, x) => b.relu(replkKernel(b, x, 'large_kernel', 5)));
    const merged = reparameterize(graph);
    expectSameOutputs(merged, graph);
    expect(keysOf(merged)).toEqual(['large_kernel.lkb_reparam.weight', 'large_kernel.lkb_reparam.bias']);
    expect(countOps(merged)).toEqual({ conv: 1, elementwise: 1 });
  });

  it('SLaK: sums within sums, rectangles in all orders', () => {
    const graph = graphOf((b, x) => slakKernel(b, x, 'stages.0.0.large_kernel', 11, 3));
    const merged = reparameterize(graph);
    expectSameOutputs(merged, graph);
    expect(keysOf(merged)).toEqual(
      ['weight', 'bias'].map((name) => `stages.0.0.large_kernel.lkb_reparam.${name}`),
    );
    expect(countOps(merged)).toEqual({ conv: 1 });
  });

  it('numbers what would get the same name, and keeps terms of other kinds', () => {
    const graph = graphOf((b, x) => {
      const pair = (input: Node, i: number): Node[] => [
        convBn(b, input, `block.${i}.a`, 3, 3),
        depthwise(b, input, `block.${i + 1}.b`, { kernel: 5, bias: true }),
      ];
      const [a = x, ...others] = [...pair(x, 0), ...pair(b.relu(x), 2)];
      return b.relu(b.add(a, x, ...others));
    });
    const merged = reparameterize(graph);
    expectSameOutputs(merged, graph);
    expect(dump(merged)).toMatchInlineSnapshot(`
      "test
      %0 [2, 9, 7, 3] = input ()  input
      %1 [2, 9, 7, 3] = conv 5×5 groups 3, bias (%0)  block.lkb_reparam
      %2 [2, 9, 7, 3] = relu (%0)  relu
      %3 [2, 9, 7, 3] = conv 5×5 groups 3, bias (%2)  block.lkb_reparam_2
      %4 [2, 9, 7, 3] = add, add (%1, %0, %3)  add
      %5 [2, 9, 7, 3] = relu (%4)  relu
      y = %5
      "
    `);
    expect(keysOf(merged)).toContain('block.lkb_reparam_2.weight');
  });

  describe('places taps', () => {
    const merges = (a: DepthwiseOptions, c: DepthwiseOptions, expected: string): void => {
      const graph = graphOf((b, x) => b.add(depthwise(b, x, 'k.a', a), depthwise(b, x, 'k.c', c)), 12, 11);
      const merged = reparameterize(graph);
      expectSameOutputs(merged, graph);
      expect(dump(merged)).toContain(expected);
    };
    it('of dilated kernels', () => {
      merges({ kernel: 5, dilation: 3 }, { kernel: 5 }, 'conv 13×13 groups');
    });
    it('on a coarser grid where all fit one', () => {
      merges({ kernel: 3, dilation: 4 }, { kernel: 5, dilation: 2 }, 'conv 5×5 dilation 2 groups');
    });
    it('of single taps', () => {
      merges({ kernel: 1 }, { kernel: 1, bias: true }, 'conv 1×1 groups');
      merges({ kernel: 1 }, { kernel: [1, 5], dilation: 2 }, 'conv 1×5 dilation 2 groups');
    });
    it('of strided kernels', () => {
      merges({ kernel: 7, stride: 2 }, { kernel: 3, stride: 2 }, 'conv 7×7 stride 2 groups');
    });
    it('of even kernels and unequal paddings', () => {
      merges({ kernel: 4, padding: 1 }, { kernel: 2, padding: 0 }, 'conv 4×4 groups');
      // Taps at odd offsets of one kernel and at even ones of the other, on one axis only.
      merges({ kernel: [2, 1], dilation: 2 }, { kernel: [3, 1], dilation: 2 }, 'conv 5×1 groups');
      merges({ kernel: [1, 2], dilation: 2 }, { kernel: [1, 3], dilation: 2 }, 'conv 1×5 groups');
    });
  });

  describe('leaves alone', () => {
    const expectUnchanged = (graph: Graph): void => expect(reparameterize(graph)).toEqual(graph);

    it('kernels one after the other, because of the zeros at the border', () => {
      expectUnchanged(
        graphOf((b, x) => depthwise(b, depthwise(b, x, 'a', { kernel: [5, 3] }), 'c', { kernel: [3, 5] })),
      );
    });

    it('branches of different inputs, and of groups wider than one channel', () => {
      expectUnchanged(graphOf((b, x) => b.add(convBn(b, x, 'a', 3, 3), convBn(b, b.relu(x), 'c', 3, 5))));
      expectUnchanged(graphOf((b, x) => b.add(convBn(b, x, 'a', 3, 3), convBn(b, x, 'c', 3, 1))));
    });

    it('branches that are read elsewhere, and outputs of the graph', () => {
      expectUnchanged(
        graphOf((b, x) => {
          const a = convBn(b, x, 'a', 3, 3);
          return b.add(b.add(a, convBn(b, x, 'c', 3, 5)), b.relu(a));
        }),
      );
      expectUnchanged(
        graphOf((b, x) => b.add(b.output('a', convBn(b, x, 'a', 3, 3)), convBn(b, x, 'c', 3, 5))),
      );
    });

    it('branches of different strides', () => {
      const strided = { kernel: 3, stride: 2 } as const;
      expectUnchanged(
        graphOf(
          (b, x) => b.add(depthwise(b, x, 'a', strided), depthwise(b, x, 'c', { kernel: 3, padding: 0 })),
          5,
          5,
        ),
      );
    });

    it('branches with an activation', () => {
      const graph = graphOf((b, x) =>
        b.add(b.relu(convBn(b, x, 'a', 3, 3)), b.relu(convBn(b, x, 'c', 3, 5))),
      );
      expectUnchanged(graph);
      const relu = (norm: Node): Node =>
        norm.op.type === 'batch-norm' ? { ...norm, op: { ...norm.op, activation: 'relu' } } : norm;
      expectUnchanged(graphOf((b, x) => b.add(relu(convBn(b, x, 'a', 3, 3)), relu(convBn(b, x, 'c', 3, 5)))));
    });

    it('what is not worthwhile; the question shows both forms as they would run', () => {
      const graph = graphOf((b, x) => replkKernel(b, x, 'large_kernel', 9, 5));
      const asked: (readonly [Problem, readonly Problem[]])[] = [];
      const worthwhile = (merged: Problem, branches: readonly Problem[]): boolean => {
        asked.push([merged, branches]);
        return false;
      };
      expect(reparameterize(graph, { worthwhile, pitch: () => 8 })).toEqual(graph);
      const base = { op: 'depthwise', batch: 2, height: 9, width: 7, channels: 3, pitch: 8 };
      const biasOnly = { bias: true, residual: false };
      const addingUp = { bias: true, residual: true };
      expect(asked).toMatchObject([
        [
          { ...base, kernelHeight: 9, epilogue: biasOnly },
          [
            { ...base, kernelHeight: 9, epilogue: biasOnly },
            { ...base, kernelHeight: 5, epilogue: addingUp },
          ],
        ],
      ]);
    });
  });

  it('does not touch the graph that it is given', () => {
    const graph = graphOf((b, x) => replkKernel(b, x, 'large_kernel', 9, 5));
    const before = dump(graph);
    const nodes = nodesOf(graph);
    reparameterize(graph);
    expect(dump(graph)).toBe(before);
    expect(nodesOf(graph)).toEqual(nodes);
  });
});
