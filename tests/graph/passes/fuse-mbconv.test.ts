import { describe, expect, it } from 'vitest';
import { GraphBuilder } from '../../../src/graph/builder.ts';
import { dump } from '../../../src/graph/dump.ts';
import type { Graph, Node } from '../../../src/graph/graph.ts';
import { macsOf } from '../../../src/graph/lower.ts';
import { splitBlocks } from '../../../src/graph/passes/fuse-blocks.ts';
import { fuseMBConv } from '../../../src/graph/passes/fuse-mbconv.ts';
import { optimize } from '../../../src/graph/passes/index.ts';
import { mbConv } from '../../../src/models/convfirst.ts';
import { squeezeExcite } from '../../../src/models/layers.ts';
import type { Activation, Problem } from '../../../src/kernels/problem.ts';
import { countOps, expectSameOutputs } from '../../support/graph-values.ts';

const always = { worthFusing: () => true };

function graphOf(build: (b: GraphBuilder, x: Node) => Node, channels = 8): Graph {
  const b = new GraphBuilder('test');
  b.output('y', build(b, b.input([2, 6, 5, channels])));
  return b.build();
}

interface Options {
  readonly expansion?: number;
  readonly kernel?: number;
  readonly stride?: number;
  readonly outputs?: number;
  readonly activation?: Activation;
  readonly squeeze?: number;
}

/** EfficientNet's block, or MobileNetV2's, without batch norms. */
function block(b: GraphBuilder, x: Node, options: Options = {}): Node {
  const { expansion = 6, kernel = 3, stride = 1, activation = 'silu', squeeze = 2 } = options;
  const { outputs = x.shape[3] } = options;
  const hidden = expansion * x.shape[3];
  let y = x;
  if (expansion > 1)
    y = b.activation(b.conv(y, 'expand', { outputs: hidden, kernel: 1, bias: true }), activation);
  const depthwise = { outputs: hidden, kernel, stride, groups: 'depthwise' } as const;
  y = b.activation(b.conv(y, 'depthwise', { ...depthwise, bias: true }), activation);
  if (squeeze > 0) y = squeezeExcite(b, y, 'se', { squeeze, activation });
  y = b.conv(y, 'project', { outputs, kernel: 1, bias: true });
  return stride === 1 && outputs === x.shape[3] ? b.add(x, y) : y;
}

describe('fuseMBConv', () => {
  it('EfficientNet: three convolutions, squeeze-and-excitation and the residual become one', () => {
    const graph = graphOf((b, x) => block(b, x));
    const fused = optimize(graph, always);
    expectSameOutputs(fused, graph);
    expect(macsOf(fused)).toBe(macsOf(graph));
    expect(dump(fused)).toMatchInlineSnapshot(`
      "test
      %0 [2, 6, 5, 8] = input ()  input
      %1 [2, 6, 5, 8] = expand 48, bias, silu; conv 3×3 groups 48, bias, silu; squeeze 2, silu; project, bias, residual (%0, %0)  project
      y = %1
      "
    `);
  });

  it('ConvFirstNet: grouped convolutions, batch norms folded', () => {
    const graph = graphOf((b, x) => mbConv(b, x, 'block', { expansion: 4, outputs: 16, stride: 1 }), 16);
    const fused = optimize(graph, always);
    expectSameOutputs(fused, graph);
    expect(dump(fused)).toMatchInlineSnapshot(`
      "test
      %0 [2, 6, 5, 16] = input ()  input
      %1 [2, 6, 5, 16] = expand 64, bias, silu; conv 3×3 groups 8, bias, silu; squeeze 4, relu; project, bias, residual (%0, %0)  block.project.conv
      y = %1
      "
    `);
  });

  it.each<[string, Options]>([
    ['strides', { stride: 2, kernel: 5, outputs: 12 }],
    ['without squeeze-and-excitation', { squeeze: 0, activation: 'relu6' }],
    ['without expansion', { expansion: 1, outputs: 4 }],
  ])('%s', (_, options) => {
    const graph = graphOf((b, x) => block(b, x, options));
    const fused = optimize(graph, always);
    expect(countOps(fused)).toEqual({ mbconv: 1 });
    expectSameOutputs(fused, graph);
    expect(macsOf(fused)).toBe(macsOf(graph));
  });

  it('blocks behind each other', () => {
    const graph = graphOf((b, x) => {
      const y = b.activation(b.conv(x, 'a', { outputs: 12, kernel: 1 }), 'relu6');
      const map = b.conv(y, 'b', { outputs: 12, kernel: 3, groups: 'depthwise' });
      return block(b, b.conv(map, 'c', { outputs: 6, kernel: 1 }), { outputs: 4 });
    });
    const fused = optimize(graph, always);
    expect(countOps(fused)).toEqual({ mbconv: 2 });
    expectSameOutputs(fused, graph);
  });

  it('asks about the block and its layers, in their order, at the pitches of the device', () => {
    const asked: [Problem, readonly string[]][] = [];
    const fused = optimize(
      graphOf((b, x) => block(b, x)),
      {
        pitch: (channels) => 16 * Math.ceil(channels / 16),
        worthFusing: (problem, layers) => {
          asked.push([problem, layers.map(({ op }) => op)]);
          return false;
        },
      },
    );
    expect(countOps(fused)).not.toHaveProperty('mbconv');
    const layers = [
      'pointwise',
      'depthwise',
      'global-pool',
      'pointwise',
      'pointwise',
      'channel-scale',
      'pointwise',
    ];
    expect(asked[0]?.[1]).toEqual(layers);
    expect(asked[0]?.[0]).toMatchObject({ op: 'mbconv', hidden: 48, inputPitch: 16, outputPitch: 16 });
  });

  it.each<[string, (b: GraphBuilder, x: Node) => Node]>([
    [
      'the gate of another map',
      (b, x) => {
        const map = b.conv(x, 'd', { outputs: 8, kernel: 3, groups: 'depthwise' });
        const gate = b.activation(
          b.conv(b.globalPool(x), 'g', { outputs: 8, kernel: 1, bias: true }),
          'sigmoid',
        );
        return b.conv(b.channelScale(map, gate), 'p', { outputs: 8, kernel: 1 });
      },
    ],
    [
      'a gate that is not logistic',
      (b, x) => {
        const map = b.conv(x, 'd', { outputs: 8, kernel: 3, groups: 'depthwise' });
        const squeezed = b.relu(b.conv(b.globalPool(map), 's', { outputs: 2, kernel: 1, bias: true }));
        const gate = b.activation(b.conv(squeezed, 'g', { outputs: 8, kernel: 1, bias: true }), 'tanh');
        return b.conv(b.channelScale(map, gate), 'p', { outputs: 8, kernel: 1 });
      },
    ],
    [
      'neither expansion nor gate',
      (b, x) => {
        const map = b.conv(x, 'd', { outputs: 8, kernel: 3, groups: 'depthwise' });
        return b.conv(map, 'p', { outputs: 8, kernel: 1 });
      },
    ],
    [
      'a map that somebody else reads',
      (b, x) => {
        const map = b.conv(x, 'd', { outputs: 8, kernel: 3, groups: 'depthwise' });
        return b.add(map, b.conv(map, 'p', { outputs: 8, kernel: 1 }));
      },
    ],
    [
      'a dilated convolution',
      (b, x) => {
        const map = b.conv(x, 'd', { outputs: 8, kernel: 3, groups: 'depthwise', dilation: 2 });
        return b.conv(map, 'p', { outputs: 8, kernel: 1 });
      },
    ],
    [
      'a dense convolution',
      (b, x) => b.conv(b.conv(x, 'd', { outputs: 8, kernel: 3 }), 'p', { outputs: 8, kernel: 1 }),
    ],
  ])('leaves alone: %s', (_, build) => {
    expect(countOps(optimize(graphOf(build), always))).not.toHaveProperty('mbconv');
  });

  it('an expansion that somebody else reads stays a layer of its own', () => {
    const graph = graphOf((b, x) => {
      const expanded = b.output('expanded', b.relu(b.conv(x, 'e', { outputs: 16, kernel: 1 })));
      const map = b.conv(expanded, 'd', { outputs: 16, kernel: 3, groups: 'depthwise' });
      const gated = squeezeExcite(b, map, 'se', { squeeze: 2, activation: 'relu' });
      return b.conv(gated, 'p', { outputs: 8, kernel: 1 });
    });
    const fused = optimize(graph, always);
    expect(countOps(fused)).toEqual({ conv: 1, mbconv: 1 });
    expectSameOutputs(fused, graph);
  });

  it.each<[string, Options]>([
    ['with everything', {}],
    ['with less', { squeeze: 0, stride: 2, kernel: 5 }],
  ])('splitBlocks gives back what was fused: %s', (_, options) => {
    const apart = optimize(graphOf((b, x) => block(b, x, options)));
    const again = splitBlocks(fuseMBConv(apart, always));
    expect(countOps(again)).toEqual(countOps(apart));
    expectSameOutputs(again, apart, 0);
  });
});
