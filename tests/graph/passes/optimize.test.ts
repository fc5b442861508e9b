import { describe, expect, it } from 'vitest';
import { GraphBuilder } from '../../../src/graph/builder.ts';
import { dump } from '../../../src/graph/dump.ts';
import type { Graph, Node } from '../../../src/graph/graph.ts';
import { optimize } from '../../../src/graph/passes/index.ts';
import {
  bottleneck,
  convnextBlock,
  mbconvBlock,
  replkBlocks,
  replkHead,
  slakBlock,
} from '../../support/blocks.ts';
import { expectSameOutputs } from '../../support/graph-values.ts';

function graphOf(name: string, channels: number, build: (b: GraphBuilder, x: Node) => Node): Graph {
  const b = new GraphBuilder(name);
  b.output('y', build(b, b.input([2, 6, 5, channels])));
  return b.build();
}

describe('optimize', () => {
  it('RepLKNet: blocks and head', () => {
    const graph = graphOf('replknet', 3, (b, x) => replkHead(b, replkBlocks(b, x, 'stages.0', 9, 5), 4));
    const optimized = optimize(graph);
    expectSameOutputs(optimized, graph);
    expect(dump(optimized)).toMatchInlineSnapshot(`
      "replknet
      %0 [2, 6, 5, 3] = input ()  input
      %1 [2, 6, 5, 3] = conv 1×1, bias, relu (%0)  stages.0.blocks.0.pw1.conv
      %2 [2, 6, 5, 3] = conv 9×9 groups 3, bias, relu (%1)  stages.0.blocks.0.large_kernel.lkb_reparam
      %3 [2, 6, 5, 3] = conv 1×1, bias, residual (%2, %0)  stages.0.blocks.0.pw2.conv
      %4 [2, 6, 5, 12] = conv 1×1, bias, gelu (%3)  stages.0.blocks.1.pw1.conv
      %5 [2, 6, 5, 3] = conv 1×1, bias, residual (%4, %3)  stages.0.blocks.1.pw2.conv
      %6 [2, 1, 1, 3] = global-pool (%5)  avgpool
      %7 [2, 1, 1, 4] = linear, bias (%6)  head
      y = %7
      "
    `);
  });

  it('RepLKNet with branches apart', () => {
    const graph = graphOf('replknet', 3, (b, x) => replkBlocks(b, x, 'stages.0', 9, 5));
    const optimized = optimize(graph, { deploy: false });
    expectSameOutputs(optimized, graph);
    expect(dump(optimized)).toMatchInlineSnapshot(`
      "replknet
      %0 [2, 6, 5, 3] = input ()  input
      %1 [2, 6, 5, 3] = conv 1×1, bias, relu (%0)  stages.0.blocks.0.pw1.conv
      %2 [2, 6, 5, 3] = conv 9×9 groups 3, bias (%1)  stages.0.blocks.0.large_kernel.lkb_origin.conv
      %3 [2, 6, 5, 3] = conv 5×5 groups 3, bias, residual, relu (%1, %2)  stages.0.blocks.0.large_kernel.small_conv.conv
      %4 [2, 6, 5, 3] = conv 1×1, bias, residual (%3, %0)  stages.0.blocks.0.pw2.conv
      %5 [2, 6, 5, 12] = conv 1×1, bias, gelu (%4)  stages.0.blocks.1.pw1.conv
      %6 [2, 6, 5, 3] = conv 1×1, bias, residual (%5, %4)  stages.0.blocks.1.pw2.conv
      y = %6
      "
    `);
    expect(dump(optimize(graph, { worthwhile: () => false }))).toBe(dump(optimized));
  });

  it('SLaK block', () => {
    const graph = graphOf('slak', 3, (b, x) => slakBlock(b, x, 'stages.0.0', 11, 5));
    const optimized = optimize(graph);
    expectSameOutputs(optimized, graph);
    expect(dump(optimized)).toMatchInlineSnapshot(`
      "slak
      %0 [2, 6, 5, 3] = input ()  input
      %1 [2, 6, 5, 3] = conv 11×11 groups 3, bias (%0)  stages.0.0.large_kernel.lkb_reparam
      %2 [2, 6, 5, 3] = layer-norm without weights (%1)  stages.0.0.norm
      %3 [2, 6, 5, 12] = linear, bias, gelu (%2)  stages.0.0.pwconv1
      %4 [2, 6, 5, 3] = linear, bias, residual (%3, %0)  stages.0.0.pwconv2
      y = %4
      "
    `);
  });

  it('ConvNeXt block', () => {
    const graph = graphOf('convnext', 3, (b, x) => convnextBlock(b, x, 'stages.0.0'));
    const optimized = optimize(graph);
    expectSameOutputs(optimized, graph);
    expect(dump(optimized)).toMatchInlineSnapshot(`
      "convnext
      %0 [2, 6, 5, 3] = input ()  input
      %1 [2, 6, 5, 3] = conv 7×7 groups 3, bias (%0)  stages.0.0.dwconv
      %2 [2, 6, 5, 3] = layer-norm without weights (%1)  stages.0.0.norm
      %3 [2, 6, 5, 12] = linear, bias, gelu (%2)  stages.0.0.pwconv1
      %4 [2, 6, 5, 3] = linear, bias, residual (%3, %0)  stages.0.0.pwconv2
      y = %4
      "
    `);
  });

  it('MBConv block with squeeze-and-excitation', () => {
    const graph = graphOf('mbconv', 2, (b, x) => mbconvBlock(b, x, 'features.1.0.block'));
    const optimized = optimize(graph);
    expectSameOutputs(optimized, graph);
    expect(dump(optimized)).toMatchInlineSnapshot(`
      "mbconv
      %0 [2, 6, 5, 2] = input ()  input
      %1 [2, 6, 5, 8] = conv 1×1, bias, silu (%0)  features.1.0.block.0.conv
      %2 [2, 6, 5, 8] = conv 3×3 groups 8, bias, silu (%1)  features.1.0.block.1.conv
      %3 [2, 1, 1, 8] = global-pool (%2)  avgpool
      %4 [2, 1, 1, 2] = conv 1×1, bias, silu (%3)  features.1.0.block.2.fc1
      %5 [2, 1, 1, 8] = conv 1×1, bias, sigmoid (%4)  features.1.0.block.2.fc2
      %6 [2, 6, 5, 8] = channel-scale (%2, %5)  scale
      %7 [2, 6, 5, 2] = conv 1×1, bias, residual (%6, %0)  features.1.0.block.3.conv
      y = %7
      "
    `);
  });

  it('ResNet bottleneck', () => {
    const graph = graphOf('resnet', 3, (b, x) => bottleneck(b, x, 'layer1.0', 2));
    const optimized = optimize(graph);
    expectSameOutputs(optimized, graph);
    expect(dump(optimized)).toMatchInlineSnapshot(`
      "resnet
      %0 [2, 6, 5, 3] = input ()  input
      %1 [2, 6, 5, 2] = conv 1×1, bias, relu (%0)  layer1.0.conv1
      %2 [2, 6, 5, 2] = conv 3×3, bias, relu (%1)  layer1.0.conv2
      %3 [2, 6, 5, 8] = conv 1×1, bias (%2)  layer1.0.conv3
      %4 [2, 6, 5, 8] = conv 1×1, bias, residual, relu (%0, %3)  layer1.0.downsample.0
      y = %4
      "
    `);
  });
});
