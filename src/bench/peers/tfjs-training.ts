import type { Rank, Tensor, Tensor4D, Variable } from '@tensorflow/tfjs-core';

import { valuesOf } from '../../checkpoints/parameter-values.ts';
import { nodesOf } from '../../graph/graph.ts';
import type { Node } from '../../graph/graph.ts';
import type { ConvOp } from '../../graph/op.ts';
import { timer } from '../engine.ts';
import type { ModelEngine } from '../engine.ts';
import { nhwcToNchw, transpose } from '../layout.ts';
import { LOSS_STEPS, OPTIMIZER } from '../train-case.ts';
import type { TrainCase } from '../train-case.ts';

type Tfjs = typeof import('@tensorflow/tfjs-core');

/** A layer and its gradients. */
interface Layer {
  forward(x: Tensor4D): Tensor4D;
  /** The gradient to x, and those to the layer's variables by name. */
  backward(dy: Tensor4D, x: Tensor4D, y: Tensor4D): Backward;
}

interface Backward {
  readonly dx: Tensor4D;
  readonly gradients: Readonly<Record<string, Tensor>>;
}

/**
 * A network in training in TensorFlow.js. Its WebAssembly backend has no gradients to the kernels of convolutions, so they
 * are put together of what it has: a matrix product (depthwise: a product and a sum) for each tap. Backpropagation is
 * written out, which spares its tape. Networks are chains of convolutions, linear layers, ReLUs and a global pool; others
 * are refused.
 */
export async function tfjsTraining(tf: Tfjs, test: TrainCase): Promise<ModelEngine[]> {
  const variables = new Map<string, Variable>();
  const layers: Layer[] = [];
  for (const node of nodesOf(test.graph)) {
    if (node.op.type === 'input') continue;
    const isFirst = node.inputs.some(({ op }) => op.type === 'input');
    layers.push(await layerOf(tf, node, test, variables, isFirst && !test.inputGradient));
  }
  const [batch, height, width, channels] = test.graph.input.shape;
  const x = tf.tensor4d(test.input, [batch, height, width, channels]);
  const target = tf.tensor4d(test.targets, [batch, 1, 1, test.classes]);
  const { rate, weightDecay } = OPTIMIZER;
  const adam = tf.train.adam(rate, 0.9, 0.999, 1e-8);
  const decaying = [...variables.values()].filter(({ rank }) => rank > 1);
  const step = (): number => {
    const value = tf.tidy(() => {
      const { loss, gradients } = backpropagate(tf, layers, x, target);
      // AdamW: what decays does so before Adam's step.
      for (const variable of decaying) variable.assign(tf.mul(variable, 1 - rate * weightDecay));
      adam.applyGradients(gradients);
      return loss;
    });
    const [number = NaN] = value.dataSync();
    value.dispose();
    return number;
  };
  const losses: number[] = [];
  for (let i = 0; i < LOSS_STEPS; i++) losses.push(step());
  return [
    {
      name: 'tfjs',
      device: 'wasm',
      threads: 1,
      config: 'NHWC, gradients to kernels tap by tap',
      timingIncludes:
        'forward, gradients, weight decay and tf.train.adam’s step; the batch is a tensor already',
      time: timer(step),
      output: () => Promise.resolve(Float32Array.from(losses)),
      dispose: () => {
        adam.dispose();
        for (const tensor of [x, target, ...variables.values()]) tensor.dispose();
        return Promise.resolve();
      },
    },
  ];
}

/** The mean cross-entropy of a softmax, and all gradients. */
function backpropagate(
  tf: Tfjs,
  layers: readonly Layer[],
  x: Tensor4D,
  target: Tensor4D,
): { readonly loss: Tensor; readonly gradients: { readonly name: string; readonly tensor: Tensor }[] } {
  const values = [x];
  for (const layer of layers) values.push(layer.forward(values.at(-1) ?? x));
  const [batch] = target.shape;
  const probabilities = tf.softmax(values.at(-1) ?? x);
  const loss = tf.div(tf.sum(tf.mul(target, tf.log(probabilities))), -batch);
  let dy: Tensor4D = tf.div(tf.sub(probabilities, target), batch);
  const gradients = new Map<string, Tensor>();
  for (let i = layers.length - 1; i >= 0; i--) {
    const back = layers[i]?.backward(dy, values[i] ?? x, values[i + 1] ?? x);
    if (back === undefined) continue;
    dy = back.dx;
    for (const [name, tensor] of Object.entries(back.gradients)) gradients.set(name, tensor);
  }
  return { loss, gradients: [...gradients].map(([name, tensor]) => ({ name, tensor })) };
}

/** @param first whether the layer reads the image, whose gradient nobody wants */
async function layerOf(
  tf: Tfjs,
  node: Node,
  test: TrainCase,
  variables: Map<string, Variable>,
  first: boolean,
): Promise<Layer> {
  const variable = async (
    name: string,
    shape: readonly number[],
    turn: (values: Float32Array) => Float32Array = (values) => values,
  ): Promise<Variable> => {
    const parameter = node.parameters[name];
    if (parameter === undefined) throw new Error(`${node.name} has no ${name}, which is not translated`);
    const values = turn(await valuesOf(parameter, test.weights));
    const made = tf.variable(tf.tensor(values, [...shape]), true, parameter.key);
    variables.set(parameter.key, made);
    return made;
  };
  const { op } = node;
  const inputs = node.inputs[0]?.shape[3] ?? 0;
  if (op.type === 'conv' && isPlain(op)) {
    const { kernelHeight, kernelWidth, outputs, groups } = op;
    const taps = kernelHeight * kernelWidth;
    const own = inputs / groups;
    const shape = [kernelHeight, kernelWidth, groups === 1 ? inputs : outputs, groups === 1 ? outputs : 1];
    // [outputs, inputs of a group, taps] → [taps, inputs of a group, outputs]
    const weight = await variable('weight', shape, (values) =>
      transpose(nhwcToNchw(values, outputs, own, taps), outputs, taps * own),
    );
    const layer =
      groups === 1
        ? denseConv(tf, op, weight as Variable<Rank.R4>, first)
        : depthwiseConv(tf, op, weight as Variable<Rank.R4>);
    return withBias(tf, layer, await variable('bias', [outputs]));
  }
  if (op.type === 'linear' && op.epilogue.activation === 'none') {
    const weight = await variable('weight', [inputs, op.outputs], (values) =>
      transpose(values, op.outputs, inputs),
    );
    return withBias(tf, linear(tf, weight as Variable<Rank.R2>), await variable('bias', [op.outputs]));
  }
  if (op.type === 'global-pool') return globalPool(tf);
  const [only, ...more] = op.type === 'elementwise' ? op.steps : [];
  if (only?.kind === 'activation' && only.activation === 'relu' && more.length === 0) return relu(tf);
  throw new Error(`networks with a ${op.type} like ${node.name} are not translated for TensorFlow.js`);
}

function isPlain({ epilogue, padding, dilation, groups, outputs, stride }: ConvOp): boolean {
  const { top, bottom, left, right } = padding;
  const alike = top === bottom && left === right && top === left;
  const known = groups === 1 || (groups === outputs && stride === 1);
  return epilogue.activation === 'none' && !epilogue.residual && alike && dilation === 1 && known;
}

function withBias(tf: Tfjs, layer: Layer, bias: Variable): Layer {
  return {
    forward: (x) => tf.add(layer.forward(x), bias),
    backward(dy, x, y) {
      const { dx, gradients } = layer.backward(dy, x, y);
      return { dx, gradients: { ...gradients, [bias.name]: tf.sum(dy, [0, 1, 2]) } };
    },
  };
}

function denseConv(tf: Tfjs, op: ConvOp, weight: Variable<Rank.R4>, first: boolean): Layer {
  const { stride, padding } = op;
  const pad = padding.top;
  const [, , inputs, outputs] = weight.shape;
  return {
    forward: (x) => tf.conv2d(x, weight, stride, pad),
    backward(dy, x) {
      const flat = tf.reshape<Rank.R2>(dy, [dy.size / outputs, outputs]);
      const products = tapValues(tf, x, dy, op).map((seen) =>
        tf.matMul(tf.reshape<Rank.R2>(seen, [seen.size / inputs, inputs]), flat, true),
      );
      return {
        dx: first ? x : tf.conv2dTranspose(dy, weight, x.shape, stride, pad),
        gradients: { [weight.name]: tf.reshape(tf.stack(products), weight.shape) },
      };
    },
  };
}

function depthwiseConv(tf: Tfjs, op: ConvOp, weight: Variable<Rank.R4>): Layer {
  const pad = op.padding.top;
  return {
    forward: (x) => tf.depthwiseConv2d(x, weight, 1, pad),
    backward(dy, x) {
      const sums = tapValues(tf, x, dy, op).map((seen) => tf.sum(tf.mul(seen, dy), [0, 1, 2]));
      return {
        dx: tf.depthwiseConv2d(dy, tf.reverse(weight, [0, 1]), 1, op.kernelHeight - 1 - pad),
        gradients: { [weight.name]: tf.reshape(tf.stack(sums), weight.shape) },
      };
    },
  };
}

function linear(tf: Tfjs, weight: Variable<Rank.R2>): Layer {
  const [inputs, outputs] = weight.shape;
  const rows = (x: Tensor4D): ReturnType<Tfjs['tensor2d']> =>
    tf.reshape<Rank.R2>(x, [x.size / x.shape[3], x.shape[3]]);
  return {
    forward(x) {
      const [n, h, w] = x.shape;
      return tf.reshape<Rank.R4>(tf.matMul(rows(x), weight), [n, h, w, outputs]);
    },
    backward(dy, x) {
      const [n, h, w] = x.shape;
      return {
        dx: tf.reshape<Rank.R4>(tf.matMul(rows(dy), weight, false, true), [n, h, w, inputs]),
        gradients: { [weight.name]: tf.matMul(rows(x), rows(dy), true) },
      };
    },
  };
}

function relu(tf: Tfjs): Layer {
  return {
    forward: (x) => tf.relu(x),
    backward: (dy, _x, y) => ({ dx: tf.mul(dy, tf.step(y)), gradients: {} }),
  };
}

function globalPool(tf: Tfjs): Layer {
  return {
    forward: (x) => tf.mean(x, [1, 2], true),
    backward(dy, x) {
      const [, height, width] = x.shape;
      return { dx: tf.tile(tf.div<Tensor4D>(dy, height * width), [1, height, width, 1]), gradients: {} };
    },
  };
}

/** For each tap, the values of x that it meets: maps of dy's size. */
function tapValues(tf: Tfjs, x: Tensor4D, dy: Tensor4D, op: ConvOp): Tensor4D[] {
  const { stride, padding, kernelHeight, kernelWidth } = op;
  const pad = padding.top;
  const [batch, , , channels] = x.shape;
  const [, height, width] = dy.shape;
  const around: [number, number] = [pad, pad];
  const padded = pad === 0 ? x : tf.pad4d(x, [[0, 0], around, around, [0, 0]]);
  return Array.from({ length: kernelHeight * kernelWidth }, (_, tap) => {
    const top = Math.floor(tap / kernelWidth);
    const left = tap % kernelWidth;
    if (stride === 1) return tf.slice4d(padded, [0, top, left, 0], [batch, height, width, channels]);
    const end = [batch, top + (height - 1) * stride + 1, left + (width - 1) * stride + 1, channels];
    return tf.stridedSlice(padded, [0, top, left, 0], end, [1, stride, stride, 1]) as Tensor4D;
  });
}
