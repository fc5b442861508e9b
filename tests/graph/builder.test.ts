import { describe, expect, it } from 'vitest';
import { WidefieldError } from '../../src/core/errors.ts';
import { GraphBuilder } from '../../src/graph/builder.ts';
import { parametersOf } from '../../src/graph/graph.ts';
import type { Node, Shape } from '../../src/graph/graph.ts';

function build(shape: Shape, make: (b: GraphBuilder, x: Node) => Node): Node {
  const b = new GraphBuilder('test');
  return make(b, b.input(shape));
}

const SHAPE: Shape = [2, 9, 8, 6];

describe('shapes', () => {
  const cases: Record<string, readonly [(b: GraphBuilder, x: Node) => Node, Shape]> = {
    'conv keeps the size by default': [(b, x) => b.conv(x, 'c', { outputs: 4, kernel: 5 }), [2, 9, 8, 4]],
    'dilated conv keeps it too': [(b, x) => b.conv(x, 'c', { outputs: 4, kernel: 3, dilation: 3 }), [2, 9, 8, 4]],
    'strided conv': [(b, x) => b.conv(x, 'c', { outputs: 4, kernel: 3, stride: 2 }), [2, 5, 4, 4]],
    'conv without padding': [(b, x) => b.conv(x, 'c', { outputs: 4, kernel: [2, 3], stride: 2, padding: 0 }), [2, 4, 3, 4]],
    'even kernels get a pixel more': [(b, x) => b.conv(x, 'c', { outputs: 4, kernel: 2 }), [2, 10, 9, 4]],
    depthwise: [(b, x) => b.conv(x, 'c', { outputs: 6, kernel: 7, groups: 'depthwise' }), SHAPE],
    linear: [(b, x) => b.linear(x, 'l', 10), [2, 9, 8, 10]],
    'batch norm': [(b, x) => b.batchNorm(x, 'n'), SHAPE],
    'layer norm': [(b, x) => b.layerNorm(x, 'n'), SHAPE],
    add: [(b, x) => b.add(x, x, x), SHAPE],
    'layer scale': [(b, x) => b.layerScale(x, 'gamma'), SHAPE],
    'channel scale': [(b, x) => b.channelScale(x, b.globalPool(x)), SHAPE],
    'max pool': [(b, x) => b.maxPool(x, { kernel: 3, stride: 2, padding: 1 }), [2, 5, 4, 6]],
    'global pool': [(b, x) => b.globalPool(x), [2, 1, 1, 6]],
    softmax: [(b, x) => b.softmax(x), SHAPE],
    'blur pool': [(b, x) => b.blurPool(x, 2), [2, 5, 4, 6]],
    resize: [(b, x) => b.resize(x, 20, 3), [2, 20, 3, 6]],
    concat: [(b, x) => b.concat(x, b.linear(x, 'l', 5), x), [2, 9, 8, 17]],
  }; // prettier-ignore
  it.each(Object.entries(cases))('%s', (_, [make, expected]) => {
    expect(build(SHAPE, make).shape).toEqual(expected);
  });
});

describe('parameters', () => {
  it('have the keys and shapes of a PyTorch state dict', () => {
    const b = new GraphBuilder('keys');
    let x = b.conv(b.input(SHAPE), 'stem.0', { outputs: 4, kernel: [3, 5], groups: 2, bias: true });
    x = b.batchNorm(b.conv(x, 'dw', { outputs: 4, kernel: 3, groups: 'depthwise' }), 'bn');
    b.output('y', b.linear(b.layerNorm(x, 'norm'), 'head', 10));
    expect(parametersOf(b.build()).map(({ key, shape, buffer }) => [key, shape, buffer])).toEqual([
      ['stem.0.weight', [4, 3, 3, 5], false],
      ['stem.0.bias', [4], false],
      ['dw.weight', [4, 1, 3, 3], false],
      ['bn.weight', [4], false],
      ['bn.bias', [4], false],
      ['bn.running_mean', [4], true],
      ['bn.running_var', [4], true],
      ['bn.num_batches_tracked', [], true],
      ['norm.weight', [4], false],
      ['norm.bias', [4], false],
      ['head.weight', [10, 4], false],
      ['head.bias', [10], false],
    ]);
  });
});

describe('errors', () => {
  const cases: Record<string, readonly [(b: GraphBuilder, x: Node) => unknown, string]> = {
    'keys given twice': [
      (b, x) => b.linear(b.linear(x, 'a', 6), 'a', 6),
      'The graph test has two parameters a.weight.',
    ],
    'groups that do not divide': [
      (b, x) => b.conv(x, 'stem.0', { outputs: 4, kernel: 3, groups: 4 }),
      'stem.0: The groups of a conv must divide its channels: 4 does not divide 6 and 4.',
    ],
    'maps smaller than the kernel': [
      (b, x) => b.conv(x, 'stem.0', { outputs: 4, kernel: 11, padding: 0 }),
      'stem.0: This 11×11 conv has no output on a map of 9×8 pixels: use a larger input.',
    ],
    'maps smaller than the window': [
      (b, x) => b.maxPool(x, { kernel: 9, stride: 1 }),
      'maxpool: This 9×9 pool has no output on a map of 9×8 pixels: use a larger input.',
    ],
    'sums of unlike shapes': [
      (b, x) => b.add(x, b.globalPool(x)),
      'add: The inputs of this element-wise chain must have one shape, got [2, 9, 8, 6] and [2, 1, 1, 6].',
    ],
    'gates of another width': [
      (b, x) => b.channelScale(x, b.linear(b.globalPool(x), 'l', 5)),
      'scale: A channel-scale takes [N, H, W, C] and [N, 1, 1, C], got [2, 9, 8, 6] and [2, 1, 1, 5].',
    ],
    'sizes that are no integers': [
      (b, x) => b.conv(x, 'stem.0', { outputs: 6, kernel: 3, groups: 1.5 }),
      'stem.0: The groups of a conv must be a positive integer, got 1.5.',
    ],
    'layers without outputs': [
      (b, x) => b.linear(x, 'head', 0),
      'head: The outputs of a linear must be a positive integer, got 0.',
    ],
    'pools that stand still': [
      (b, x) => b.maxPool(x, { kernel: 3, stride: 0 }),
      'maxpool: The stride of a pool must be a positive integer, got 0.',
    ],
    'blurs that stand still': [
      (b, x) => b.blurPool(x, 0),
      'blurpool: The stride of a blur-pool must be a positive integer, got 0.',
    ],
    'maps of less than no pixel': [
      (b, x) => b.resize(x, 4, -2),
      'resize: The width of a resize must be a positive integer, got -2.',
    ],
    'activations that there are not': [
      (b, x) => b.activation(x, 'swish' as 'silu'),
      'swish: There is no activation swish: use one of none, relu, relu6, gelu, silu, sigmoid, tanh.',
    ],
    'a second input': [(b) => b.input(SHAPE), 'The graph test has an input already.'],
    'graphs without an output': [(b) => b.build(), 'The graph test needs an input and an output.'],
  };
  it.each(Object.entries(cases))('%s', (_, [make, message]) => {
    const b = new GraphBuilder('test');
    const x = b.input(SHAPE);
    expect(() => make(b, x)).toThrow(new WidefieldError('invalid-argument', message));
  });
});
