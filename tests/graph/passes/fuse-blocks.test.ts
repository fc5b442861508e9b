import { describe, expect, it } from 'vitest';
import { GraphBuilder } from '../../../src/graph/builder.ts';
import { dump } from '../../../src/graph/dump.ts';
import { nodesOf } from '../../../src/graph/graph.ts';
import type { Graph, Node } from '../../../src/graph/graph.ts';
import { macsOf } from '../../../src/graph/lower.ts';
import { fuseBlocks, fuseConvFirst, splitBlocks } from '../../../src/graph/passes/fuse-blocks.ts';
import { optimize } from '../../../src/graph/passes/index.ts';
import { convFirst } from '../../../src/models/convfirst.ts';
import type { Problem } from '../../../src/kernels/problem.ts';
import { convnextBlock, replkBlocks } from '../../support/blocks.ts';
import { countOps, expectSameOutputs } from '../../support/graph-values.ts';

function graphOf(build: (b: GraphBuilder, x: Node) => Node, channels = 3): Graph {
  const b = new GraphBuilder('test');
  b.output('y', build(b, b.input([2, 6, 5, channels])));
  return b.build();
}

const always = { worthFusing: ({ op }: Problem) => op === 'ffn' || op === 'convfirst' };

describe('fuseBlocks', () => {
  it('ConvNeXt: layer norm, two linear layers and the residual become one', () => {
    const graph = graphOf((b, x) => convnextBlock(b, x, 'stages.0.0'));
    const fused = optimize(graph, always);
    expectSameOutputs(fused, graph);
    expect(macsOf(fused)).toBe(macsOf(graph));
    expect(dump(fused)).toMatchInlineSnapshot(`
      "test
      %0 [2, 6, 5, 3] = input ()  input
      %1 [2, 6, 5, 3] = conv 7×7 groups 3, bias (%0)  stages.0.0.dwconv
      %2 [2, 6, 5, 3] = layer-norm, ffn 12, bias, gelu; linear, bias, residual (%1, %0)  stages.0.0.pwconv2
      y = %2
      "
    `);
  });

  it('RepLKNet: 1×1 convolutions without a norm between', () => {
    const graph = graphOf((b, x) => replkBlocks(b, x, 'stages.0', 9, 5));
    const fused = optimize(graph, always);
    expectSameOutputs(fused, graph);
    expect(dump(fused)).toMatchInlineSnapshot(`
      "test
      %0 [2, 6, 5, 3] = input ()  input
      %1 [2, 6, 5, 3] = conv 1×1, bias, relu (%0)  stages.0.blocks.0.pw1.conv
      %2 [2, 6, 5, 3] = conv 9×9 groups 3, bias, relu (%1)  stages.0.blocks.0.large_kernel.lkb_reparam
      %3 [2, 6, 5, 3] = conv 1×1, bias, residual (%2, %0)  stages.0.blocks.0.pw2.conv
      %4 [2, 6, 5, 3] = ffn 12, bias, gelu; linear, bias, residual (%3, %3)  stages.0.blocks.1.pw2.conv
      y = %4
      "
    `);
  });

  it('ConvFirst: a grouped convolution and two 1×1 ones become one', () => {
    const block = (stride: number): Graph =>
      graphOf((b, x) => convFirst(b, x, 'block', { expansion: 3, outputs: 16, stride }), 16);
    const fused = optimize(block(1), always);
    expectSameOutputs(fused, block(1));
    expect(macsOf(fused)).toBe(macsOf(block(1)));
    expect(dump(fused)).toMatchInlineSnapshot(`
      "test
      %0 [2, 6, 5, 16] = input ()  input
      %1 [2, 6, 5, 16] = conv 3×3 groups 2, bias; ffn 48, bias, relu; linear, bias, residual (%0, %0)  block.project.conv
      y = %1
      "
    `);
  });

  it('ConvFirst with a stride: concatenation and blur become part of it', () => {
    const block = graphOf((b, x) => convFirst(b, x, 'block', { expansion: 3, outputs: 24, stride: 2 }), 16);
    const fused = optimize(block, always);
    expectSameOutputs(fused, block);
    expect(macsOf(fused)).toBe(macsOf(block));
    expect(dump(fused)).toMatchInlineSnapshot(`
      "test
      %0 [2, 6, 5, 16] = input ()  input
      %1 [2, 3, 3, 24] = conv 3×3 groups 2, bias; beside input, blur-pool stride 2; ffn 48, bias, relu; linear, bias (%0)  block.project.conv
      y = %1
      "
    `);
  });

  it.each([
    ['input first', (b: GraphBuilder, x: Node, y: Node) => b.concat(x, y)],
    ['beside something else', (b: GraphBuilder, x: Node, y: Node) => b.concat(y, b.relu(x))],
    ['with its input twice', (b: GraphBuilder, x: Node, y: Node) => b.concat(y, x, x)],
  ] as const)('a convolution that is blurred %s is not part of a block', (_, join) => {
    const graph = graphOf((b, x) => {
      const y = b.conv(x, 'spatial', { outputs: 16, kernel: 3, groups: 2 });
      return b.linear(b.relu(b.linear(b.blurPool(join(b, x, y), 2), 'up', 32)), 'down', 16);
    }, 16);
    const fused = optimize(graph, always);
    expectSameOutputs(fused, graph);
    expect(countOps(fused)).toMatchObject({ conv: 1, concat: 1, 'blur-pool': 1, ffn: 1 });
  });

  it('a blur that leaves no pixels out is not part of a block', () => {
    const graph = graphOf((b, x) => {
      const y = b.conv(x, 'spatial', { outputs: 16, kernel: 3, groups: 2 });
      return b.linear(b.relu(b.linear(b.blurPool(b.concat(y, x), 1), 'up', 32)), 'down', 16);
    }, 16);
    const fused = optimize(graph, always);
    expectSameOutputs(fused, graph);
    expect(countOps(fused)).toMatchObject({ conv: 1, concat: 1, 'blur-pool': 1, ffn: 1 });
  });

  it.each([
    ['depthwise', { groups: 'depthwise' }],
    ['dilated', { groups: 2, dilation: 2 }],
    ['without padding', { groups: 2, padding: 0 }],
    ['dense', {}],
  ] as const)('a convolution that is %s is not part of a block', (_, options) => {
    const graph = graphOf((b, x) => {
      const y = b.conv(x, 'spatial', { outputs: 16, kernel: 3, ...options });
      return b.linear(b.relu(b.linear(y, 'up', 8)), 'down', 16);
    }, 16);
    expect(countOps(optimize(graph, always))).toEqual({ conv: 1, ffn: 1 });
  });

  it('asks about the block with its norm, then about the layers alone, at the pitches of the device', () => {
    const asked: { fused: Problem; layers: readonly string[] }[] = [];
    const graph = graphOf((b, x) => convnextBlock(b, x, 'block'));
    const fused = optimize(graph, {
      pitch: (channels) => 16 * Math.ceil(channels / 16),
      worthFusing: (problem, layers) => {
        asked.push({ fused: problem, layers: layers.map(({ op }) => op) });
        return asked.length === 2;
      },
    });
    expect(asked.map(({ layers }) => layers)).toEqual([
      ['layer-norm', 'pointwise', 'pointwise'],
      ['pointwise', 'pointwise'],
    ]);
    expect(asked[0]?.fused).toMatchObject({ norm: { epsilon: 1e-6 }, inputPitch: 16, outputPitch: 16 });
    expect(asked[1]?.fused).not.toHaveProperty('norm');
    expectSameOutputs(fused, graph);
    expect(countOps(fused)).toMatchObject({ 'layer-norm': 1, ffn: 1 });
  });

  it('leaves layers alone whose hidden channels somebody else reads, and those that it is told to', () => {
    const shared = graphOf((b, x) => {
      const hidden = b.relu(b.linear(x, 'up', 8));
      b.output('hidden', hidden);
      return b.linear(hidden, 'down', 3);
    });
    expect(countOps(optimize(shared, always))).toEqual({ linear: 2 });
    const alone = graphOf((b, x) => b.linear(b.relu(b.linear(x, 'up', 8)), 'down', 3));
    expect(countOps(optimize(alone, { worthFusing: () => false }))).toEqual({ linear: 2 });
    expect(countOps(optimize(alone, always))).toEqual({ ffn: 1 });
  });

  it.each([
    ['strided', { kernel: 1, stride: 2 }],
    ['grouped', { kernel: 1, groups: 3 }],
    ['of more than a pixel', { kernel: 3 }],
  ])('a convolution that is %s is no linear layer', (_, options) => {
    const graph = graphOf((b, x) => b.linear(b.relu(b.conv(x, 'up', { outputs: 6, ...options })), 'down', 3));
    expect(countOps(optimize(graph, always))).toEqual({ conv: 1, linear: 1 });
  });

  it('a hidden layer with a residual stays', () => {
    const graph = graphOf((b, x) => b.linear(b.relu(b.add(x, b.linear(x, 'up', 3))), 'down', 3));
    expect(countOps(optimize(graph, always))).toEqual({ linear: 2 });
  });

  it.each([
    ['ConvNeXt', (b: GraphBuilder, x: Node) => convnextBlock(b, x, 'block')],
    [
      'ConvFirst',
      (b: GraphBuilder, x: Node) => convFirst(b, x, 'block', { expansion: 3, outputs: 16, stride: 1 }),
    ],
    [
      'ConvFirst with a stride',
      (b: GraphBuilder, x: Node) => convFirst(b, x, 'block', { expansion: 3, outputs: 24, stride: 2 }),
    ],
  ])('splitBlocks gives back what was fused: %s', (_, build) => {
    const apart = optimize(graphOf(build, 16));
    const fused = fuseBlocks(fuseConvFirst(apart, always), always);
    expect(nodesOf(fused).length).toBeLessThan(nodesOf(apart).length - 1);
    expect(nodesOf(splitBlocks(fused)).map(({ op }) => op)).toEqual(nodesOf(apart).map(({ op }) => op));
  });
});
