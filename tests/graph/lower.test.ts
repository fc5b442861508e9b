import { describe, expect, it } from 'vitest';
import { GraphBuilder } from '../../src/graph/builder.ts';
import { nodesOf } from '../../src/graph/graph.ts';
import type { Node } from '../../src/graph/graph.ts';
import { costOf, lower, macsOf } from '../../src/graph/lower.ts';
import { optimize } from '../../src/graph/passes/index.ts';
import { signature } from '../../src/kernels/signature.ts';
import { convFirst } from '../../src/models/convfirst.ts';
import { convnextBlock, mbconvBlock, replkBlocks } from '../support/blocks.ts';

/** 8 floats a vector. */
const pitch = (channels: number): number => Math.ceil(channels / 8) * 8;

function lowered(make: (b: GraphBuilder, x: Node) => Node) {
  const b = new GraphBuilder('test');
  return lower(make(b, b.input([2, 6, 5, 12])), pitch);
}

describe('lower', () => {
  it('makes a matrix product of 1×1 convolutions and linear layers', () => {
    const product = { op: 'pointwise', rows: 60, inputs: 12, outputs: 20, inputPitch: 16, outputPitch: 24 };
    const conv = lowered((b, x) => b.conv(x, 'c', { outputs: 20, kernel: 1 }));
    expect(conv.problem).toMatchObject(product);
    expect([...conv.weights.values()].map(({ key }) => key)).toEqual(['c.weight']);
    const linear = lowered((b, x) => b.linear(x, 'l', 20));
    expect(linear.problem).toMatchObject(product);
    expect([...linear.weights].map(([name, { key }]) => `${name}: ${key}`)).toEqual([
      'weight: l.weight',
      'bias: l.bias',
    ]);
  });

  it('keeps strided, padded and grouped 1×1 convolutions', () => {
    for (const options of [{ stride: 2 }, { padding: 1 }, { groups: 2 }]) {
      expect(lowered((b, x) => b.conv(x, 'c', { outputs: 20, kernel: 1, ...options })).problem.op).toBe(
        'conv',
      );
    }
  });

  it('knows depthwise convolutions by their groups', () => {
    const { problem } = lowered((b, x) => b.conv(x, 'c', { outputs: 12, kernel: [3, 5], groups: 12 }));
    expect(problem).toMatchObject({
      op: 'depthwise',
      kernelHeight: 3,
      kernelWidth: 5,
      channels: 12,
      pitch: 16,
    });
    const multiplied = lowered((b, x) => b.conv(x, 'c', { outputs: 24, kernel: 3, groups: 12 }));
    expect(multiplied.problem.op).toBe('conv');
  });

  it('runs a layer scale as a 1×1 depthwise convolution by gamma', () => {
    const { problem, weights } = lowered((b, x) => b.layerScale(x, 'stages.0.0.gamma'));
    expect(problem).toMatchObject({ op: 'depthwise', kernelHeight: 1, kernelWidth: 1, channels: 12 });
    expect(weights.get('weight')?.key).toBe('stages.0.0.gamma');
  });

  it('names the inputs that the kernel reads', () => {
    const { inputs } = lowered((b, x) => b.add(x, b.relu(x), b.softmax(x)));
    expect([...inputs].map(([name, node]) => `${name}: ${node.name}`)).toEqual(['x: input', 'x1: relu', 'x2: softmax']); // prettier-ignore
    const gate = lowered((b, x) => b.channelScale(x, b.globalPool(x)));
    expect([...gate.inputs.keys()]).toEqual(['x', 'gate']);
  });

  it('gives every node all inputs and weights that its problem asks for, before and after passes', () => {
    const b = new GraphBuilder('blocks');
    let x = b.input([1, 9, 9, 6]);
    x = replkBlocks(b, x, 'stages.0', 7, 3);
    x = mbconvBlock(b, x, 'features.1');
    b.output('y', b.concat(b.blurPool(convnextBlock(b, x, 'stages.1.0'), 2), b.resize(x, 5, 5)));
    const graph = b.build();
    for (const node of [...nodesOf(graph), ...nodesOf(optimize(graph))]) {
      if (node.op.type === 'input') continue;
      const { problem, inputs, weights } = lower(node, pitch);
      const { inputs: inputSpecs, weights: weightSpecs, output } = signature(problem);
      expect([...inputs.keys()]).toEqual(inputSpecs.map(({ name }) => name));
      for (const [i, input] of [...inputs.values()].entries()) {
        const [batch, height, width, channels] = input.shape;
        expect(inputSpecs[i]).toMatchObject({
          rows: batch * height * width,
          channels,
          pitch: pitch(channels),
        });
      }
      expect([...weights.keys()]).toEqual(weightSpecs.map(({ name }) => name));
      const [batch, height, width, channels] = node.shape;
      expect(output).toMatchObject({ rows: batch * height * width, channels, pitch: pitch(channels) });
    }
  });
});

describe('macsOf', () => {
  it('counts convolutions and linear layers, taps on padding too, and nothing else', () => {
    const b = new GraphBuilder('macs');
    const x = b.input([2, 6, 5, 12]);
    const y = b.batchNorm(b.conv(x, 'a', { outputs: 8, kernel: 3, groups: 4, stride: 2, bias: true }), 'n');
    const z = b.layerScale(b.layerNorm(b.relu(y), 'ln'), 'gamma');
    b.output('y', b.softmax(b.linear(b.globalPool(b.conv(z, 'dw', { outputs: 8, kernel: 5, groups: 8 })), 'head', 10))); // prettier-ignore
    expect(macsOf(b.build())).toBe(2 * 3 * 3 * (8 * 3 * 9 + 8 * 25) + 2 * 8 * 10);
  });

  it('counts bytes of padding-free tensors', () => {
    const b = new GraphBuilder('bytes');
    const x = b.input([1, 2, 2, 3]);
    expect(costOf(b.linear(x, 'l', 5))).toEqual({ macs: 60, bytes: 4 * (12 + 20 + 15 + 5), depth: 3 });
    expect(costOf(x)).toEqual({ macs: 0, bytes: 0, depth: 0 });
  });

  it('counts the shortcut of a fused block once, which is its input', () => {
    const b = new GraphBuilder('block');
    const x = b.input([1, 8, 8, 16]);
    b.output('y', convFirst(b, x, 'block', { expansion: 3, outputs: 16, stride: 1 }));
    const block = optimize(b.build(), { worthFusing: () => true }).outputs.get('y');
    if (block === undefined) throw new Error('no block');
    expect(block.inputs).toHaveLength(2);
    const weights = 16 * 8 * 9 + 16 + (16 * 48 + 48) + (48 * 16 + 16);
    expect(costOf(block).bytes).toBe(4 * (2 * 8 * 8 * 16 + weights));
  });
});
