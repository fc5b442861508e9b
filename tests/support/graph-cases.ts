import { Random } from '../../src/core/random.ts';
import { GraphBuilder, makeNode } from '../../src/graph/builder.ts';
import type { Graph, Node, Parameter, Shape } from '../../src/graph/graph.ts';
import type { FfnOp, MBConvOp, Op } from '../../src/graph/op.ts';
import { NO_EPILOGUE, samePadding } from '../../src/kernels/problem.ts';
import type { Activation, ElementwiseStep, Epilogue } from '../../src/kernels/problem.ts';

/** Adds nodes to a graph, the first behind `x`; its result becomes the output `y`. */
export type Build = (b: GraphBuilder, x: Node) => Node;

const SHAPE: Shape = [1, 9, 12, 6];

export function graphOf(build: Build, shape: Shape = SHAPE): Graph {
  const builder = new GraphBuilder('test');
  builder.output('y', build(builder, builder.input(shape)));
  return builder.build();
}

const epilogue: Epilogue = {
  bias: true,
  activation: 'gelu',
  scale: true,
  residual: true,
  finalActivation: 'relu',
};

/** The node with an epilogue that the builder does not offer, and `residual` for its second input. */
function withEpilogue(node: Node, residual: Node): Node {
  if (node.op.type !== 'conv' && node.op.type !== 'linear') throw new Error('no epilogue');
  const { outputs } = node.op;
  const vector = (name: string) => ({ key: `${node.name}.${name}`, shape: [outputs], buffer: false });
  const parameters = { ...node.parameters, bias: vector('bias'), scale: vector('scale') };
  return makeNode(node.name, { ...node.op, epilogue }, [...node.inputs, residual], parameters);
}

function elementwise(steps: readonly ElementwiseStep[], ...inputs: Node[]): Node {
  return makeNode('chain', { type: 'elementwise', steps }, inputs);
}

export function poolNode(x: Node, changes: Partial<Extract<Op, { type: 'pool' }>>): Node {
  const op: Op = {
    type: 'pool',
    kind: 'average',
    kernelHeight: 3,
    kernelWidth: 2,
    stride: 2,
    dilation: 1,
    padding: { top: 1, bottom: 0, left: 1, right: 1 },
    countPadding: false,
    ...changes,
  };
  return makeNode('pool', op, [x]);
}

/** What `fuseBlocks` makes of two layers, with `window` as the rest of their weights' shapes. */
function ffnNode(x: Node, changes: Partial<FfnOp>, window: readonly number[] = []): Node {
  const channels = x.shape[3];
  const op: FfnOp = {
    type: 'ffn',
    hidden: 10,
    outputs: channels,
    hiddenBias: true,
    activation: 'gelu',
    epilogue,
    ...changes,
  };
  const parameter = (name: string, ...shape: number[]): Parameter => ({
    key: `f.${name}`,
    shape,
    buffer: false,
  });
  const parameters = {
    up: parameter('up', 10, channels, ...window),
    ...(op.hiddenBias && { up_bias: parameter('up_bias', 10) }),
    down: parameter('down', channels, 10, ...window),
    bias: parameter('bias', channels),
    scale: parameter('scale', channels),
  };
  return makeNode('f', op, [x, x], parameters);
}

/** What `fuseBlocks` makes of a ConvFirst block. */
function convFirstNode(x: Node): Node {
  const channels = x.shape[3];
  const { op, parameters } = ffnNode(x, {}, [1, 1]);
  if (op.type !== 'ffn') throw new Error('no ffn');
  const kernel = { groups: 3, kernelHeight: 3, kernelWidth: 5, stride: 1, spatialBias: true };
  return makeNode('f', { ...op, ...kernel, type: 'convfirst' }, [x, x], {
    ...parameters,
    spatial: { key: 'f.spatial', shape: [channels, channels / 3, 3, 5], buffer: false },
    spatial_bias: { key: 'f.spatial_bias', shape: [channels], buffer: false },
  });
}

/** What `fuseMBConv` makes of a block. */
function mbConvNode(x: Node): Node {
  const channels = x.shape[3];
  const op: MBConvOp = {
    type: 'mbconv',
    hidden: 12,
    outputs: channels,
    groups: 4,
    kernelHeight: 3,
    kernelWidth: 5,
    stride: 1,
    padding: samePadding(3, 5),
    expand: { bias: true, activation: 'silu' },
    spatial: { bias: false, activation: 'relu6' },
    squeeze: { channels: 2, activation: 'relu' },
    epilogue,
  };
  const shapes = {
    expand: [12, channels, 1, 1],
    expand_bias: [12],
    spatial: [12, 3, 3, 5],
    squeeze: [2, 12, 1, 1],
    squeeze_bias: [2],
    excite: [12, 2, 1, 1],
    excite_bias: [12],
    project: [channels, 12, 1, 1],
    bias: [channels],
    scale: [channels],
  };
  const parameters = Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [name, { key: `m.${name}`, shape, buffer: false }]),
  );
  return makeNode('m', op, [x, x], parameters);
}

const activations: readonly Activation[] = ['relu', 'relu6', 'gelu', 'silu', 'sigmoid', 'tanh'];

/** Every op, in the forms that models use and at their edges. */
export const graphCases: Readonly<Record<string, Build>> = {
  'dense conv': (b, x) => b.conv(x, 'c', { outputs: 5, kernel: 3, bias: true }),
  'grouped conv, strided': (b, x) => b.conv(x, 'c', { outputs: 4, kernel: 3, stride: 2, groups: 2 }),
  'large depthwise conv': (b, x) => b.conv(x, 'c', { outputs: 6, kernel: 13, groups: 'depthwise' }),
  'rectangular depthwise conv': (b, x) => b.conv(x, 'c', { outputs: 6, kernel: [7, 3], groups: 'depthwise' }),
  'dilated conv': (b, x) => b.conv(x, 'c', { outputs: 3, kernel: 3, dilation: 2 }),
  'patch conv': (b, x) => b.conv(x, 'c', { outputs: 8, kernel: 3, stride: 3, padding: 0 }),
  'conv with one-sided padding': (_, x) =>
    makeNode(
      'c',
      {
        type: 'conv',
        outputs: 4,
        groups: 1,
        kernelHeight: 2,
        kernelWidth: 4,
        stride: 2,
        dilation: 1,
        padding: { top: 0, bottom: 1, left: 2, right: 1 },
        epilogue: NO_EPILOGUE,
      },
      [x],
      { weight: { key: 'c.weight', shape: [4, 6, 2, 4], buffer: false } },
    ),
  'conv with its whole epilogue': (b, x) => withEpilogue(b.conv(x, 'c', { outputs: 6, kernel: 3 }), x),
  'linear on a map': (b, x) => b.linear(x, 'l', 7),
  'linear on a vector': (b, x) => b.linear(b.globalPool(x), 'l', 7),
  'linear with its whole epilogue': (b, x) => withEpilogue(b.linear(x, 'l', 6), x),
  'linear on a vector with its whole epilogue': (b, x) => {
    const pooled = b.globalPool(x);
    return withEpilogue(b.linear(pooled, 'l', 6), pooled);
  },
  'batch norm': (b, x) => b.batchNorm(x, 'bn', 1e-3),
  'batch norm and activation': (b, x) => {
    const { parameters } = b.batchNorm(x, 'bn');
    return makeNode('bn', { type: 'batch-norm', epsilon: 1e-5, activation: 'silu' }, [x], parameters);
  },
  'layer norm': (b, x) => b.layerNorm(x, 'ln'),
  'layer norm of a vector': (b, x) => b.layerNorm(b.globalPool(x), 'ln'),
  'layer norm without weights': (_, x) =>
    makeNode('ln', { type: 'layer-norm', epsilon: 1e-6, affine: false }, [x]),
  'activations, one after the other': (b, x) => activations.reduce((y, name) => b.activation(y, name), x),
  'element-wise chain': (b, x) =>
    elementwise(
      [
        { kind: 'mul' },
        { kind: 'affine', scale: -2, shift: 0.5 },
        { kind: 'activation', activation: 'silu' },
        { kind: 'sub' },
        { kind: 'add' },
      ],
      x,
      b.relu(x),
      b.layerNorm(x, 'ln'),
      x,
    ),
  'layer scale on a map': (b, x) => b.layerScale(x, 'gamma'),
  'layer scale, channels last': (b, x) => b.layerScale(b.layerNorm(x, 'ln'), 'gamma'),
  'one layer scale in both layouts': (b, x) => {
    const scaled = b.layerScale(x, 'gamma');
    const [normed, { op, parameters }] = [b.layerNorm(x, 'ln'), scaled];
    return b.add(scaled, makeNode('again', op, [normed], parameters));
  },
  'squeeze and excitation': (b, x) => {
    const gate = b.activation(b.conv(b.globalPool(x), 'se', { outputs: 6, kernel: 1 }), 'sigmoid');
    return b.channelScale(x, gate);
  },
  'squeeze and excitation, channels last': (b, x) => {
    const y = b.linear(x, 'l', 6);
    return b.channelScale(y, b.activation(b.linear(b.globalPool(y), 'se', 6), 'sigmoid'));
  },
  'max pool': (b, x) => b.maxPool(x, { kernel: 3, stride: 2, padding: 1 }),
  'dilated max pool': (_, x) => poolNode(x, { kind: 'max', dilation: 2 }),
  'average pool': (_, x) => poolNode(x, {}),
  'average pool that counts padding': (_, x) => poolNode(x, { countPadding: true }),
  'global pool': (b, x) => b.globalPool(x),
  'global pool, channels last': (b, x) => b.globalPool(b.linear(x, 'l', 5)),
  'softmax on a map': (b, x) => b.softmax(x),
  'softmax of logits': (b, x) => b.softmax(b.linear(b.globalPool(x), 'l', 10)),
  'blur pool': (b, x) => b.blurPool(x, 2),
  'resize up': (b, x) => b.resize(x, 19, 31),
  'resize down': (b, x) => b.resize(x, 5, 7),
  'resize with aligned corners': (b, x) => b.resize(x, 13, 8, true),
  'resize to one pixel': (b, x) => b.resize(x, 1, 1),
  'concat of maps': (b, x) => b.concat(x, b.conv(x, 'c', { outputs: 3, kernel: 1 }), x),
  'concat of both layouts': (b, x) => b.concat(b.linear(x, 'l', 4), x),
  'ConvNeXt block': (b, x) => {
    const y = b.layerNorm(
      b.conv(x, 'dwconv', { outputs: 6, kernel: 7, groups: 'depthwise', bias: true }),
      'norm',
    );
    const z = b.linear(b.activation(b.linear(y, 'pwconv1', 24), 'gelu'), 'pwconv2', 6);
    return b.add(x, b.layerScale(z, 'gamma'));
  },
  'fused ConvNeXt block': (b, x) => ffnNode(b.layerNorm(x, 'ln'), { norm: { epsilon: 1e-6 } }),
  'fused block of 1×1 convolutions': (_, x) => ffnNode(x, { hiddenBias: false }, [1, 1]),
  'fused block on a vector': (b, x) => ffnNode(b.globalPool(x), {}),
  'fused ConvFirst block': (_, x) => convFirstNode(x),
  'fused MBConv block': (_, x) => mbConvNode(x),
  'the input itself': (_, x) => x,
};

/** Ops in random order, with earlier results as second operands, and several outputs. */
export function randomGraph(seed: number): Graph {
  const random = new Random(`network ${seed}`);
  let drawn = 0;
  const choose = (count: number): number => random.bits(drawn++) % count;
  const b = new GraphBuilder(`random ${seed}`);
  const shortcuts = [b.input([1, 8, 10, 8])];
  let x = shortcuts[0] ?? b.input([1, 1, 1, 1]);
  for (let i = 0; i < 14; i++) {
    const name = `layers.${i}`;
    const outputs = 4 * (1 + choose(3));
    const builds: readonly (() => Node)[] = [
      () => b.conv(x, name, { outputs, kernel: 3, stride: 1 + choose(2), bias: choose(2) === 0 }),
      () => b.conv(x, name, { outputs: x.shape[3], kernel: 5, groups: 'depthwise', dilation: 1 + choose(2) }),
      () => b.conv(x, name, { outputs, kernel: 1 }),
      () => b.linear(x, name, outputs),
      () => b.batchNorm(x, name),
      () => b.layerNorm(x, name),
      () => b.layerScale(x, `${name}.gamma`),
      () => b.activation(x, activations[choose(6)] ?? 'relu'),
      () => b.channelScale(x, b.activation(b.globalPool(x), 'sigmoid')),
      () => b.blurPool(x, 1),
      () => b.resize(x, 6 + choose(4), 7),
      () => b.concat(x, b.relu(x)),
    ];
    const same = shortcuts.filter(({ shape }) => shape.every((size, axis) => size === x.shape[axis]));
    const other = same[choose(Math.max(same.length, 1))];
    const build = builds[choose(builds.length)];
    x = other !== undefined && choose(2) === 0 ? b.add(x, other) : (build?.() ?? x);
    shortcuts.push(x);
  }
  b.output('features', x);
  b.output('middle', shortcuts[7] ?? x);
  b.output('logits', b.linear(b.layerNorm(b.globalPool(x), 'norm'), 'head', 10));
  return b.build();
}

/** Two convolutions, a ConvNeXt block and a classifier. */
export function smallNetwork(): Graph {
  const b = new GraphBuilder('small');
  const stem = b.conv(b.input([1, 16, 20, 3]), 'stem', {
    outputs: 8,
    kernel: 4,
    stride: 4,
    padding: 0,
    bias: true,
  });
  const normed = b.layerNorm(b.conv(stem, 'dwconv', { outputs: 8, kernel: 7, groups: 'depthwise' }), 'norm');
  const hidden = b.activation(b.linear(normed, 'pwconv1', 32), 'gelu');
  const y = b.output('stages.0', b.add(stem, b.layerScale(b.linear(hidden, 'pwconv2', 8), 'gamma')));
  b.output('pooled', b.globalPool(y));
  b.output('logits', b.linear(b.globalPool(y), 'head', 10));
  return b.build();
}
