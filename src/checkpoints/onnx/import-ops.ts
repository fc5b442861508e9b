import { makeNode } from '../../graph/builder.ts';
import type { Parameter } from '../../graph/graph.ts';
import type { Op } from '../../graph/op.ts';
import type { Activation, ElementwiseStep } from '../../kernels/problem.ts';
import { chain, constantInput, dataInput, mapInput, nameOf, numbersInput } from './import-call.ts';
import type { OnnxCall } from './import-call.ts';
import { combine } from './import-elementwise.ts';
import { isPermutation, targetShape } from './import-fold.ts';
import { floatAttribute, hasNoCost, intAttribute, intsAttribute, textAttribute } from './import-index.ts';
import { gemm, matMul } from './import-linear.ts';
import { isFloat } from './import-tensor.ts';
import { NCHW, axisSize, data, dataIn, holds, positive, regroup, shapeOf } from './import-values.ts';
import type { Constant, Data } from './import-values.ts';
import { conv, pool } from './import-window.ts';

/** The result of an ONNX node that reads at least one result. Throws `unsupported`, naming the node. */
export function translateCall(call: OnnxCall): Data {
  const { node } = call;
  if (node.domain !== '') throw hasNoCost(node);
  const translate = OPERATORS.get(node.operator);
  if (translate === undefined) throw hasNoCost(node);
  return translate(call);
}

type Translate = (call: OnnxCall) => Data;

const OPERATORS: ReadonlyMap<string, Translate> = new Map<string, Translate>([
  ['Conv', conv],
  ['Gemm', gemm],
  ['MatMul', matMul],
  ['BatchNormalization', batchNorm],
  ['LayerNormalization', layerNorm],
  ['Relu', (call) => activation(call, 'relu')],
  ['Sigmoid', (call) => activation(call, 'sigmoid')],
  ['Tanh', (call) => activation(call, 'tanh')],
  ['Gelu', gelu],
  ['Clip', clip],
  ['HardSigmoid', hardSigmoid],
  ['HardSwish', hardSwish],
  ['Add', combine],
  ['Sub', combine],
  ['Mul', combine],
  ['Div', combine],
  ['Sum', combine],
  ['GlobalAveragePool', globalPool],
  ['ReduceMean', reduceMean],
  ['MaxPool', pool],
  ['AveragePool', pool],
  ['Softmax', softmax],
  ['Concat', concat],
  ['Resize', resize],
  ['Transpose', transpose],
  ['Flatten', reshape],
  ['Reshape', reshape],
  ['Squeeze', reshape],
  ['Unsqueeze', reshape],
  ['Expand', expand],
  ['Identity', (call) => dataInput(call, 0)],
  ['Dropout', dropout],
  ['Cast', cast],
]);

function batchNorm(call: OnnxCall): Data {
  const { node, parameters } = call;
  const x = dataInput(call, 0);
  if (intAttribute(node, 'training_mode', 0) !== 0)
    throw hasNoCost(node, 'it is in training mode: export the model after eval()');
  if (!holds(x, 1, ['c'])) throw hasNoCost(node, 'it does not normalise channels');
  const vector = (index: number, what: string, buffer: boolean): Parameter =>
    parameters.add(constantInput(call, index, what), [axisSize(x.node, 'c')], buffer);
  const weight = vector(1, 'scale', false);
  const op: Op = { type: 'batch-norm', epsilon: floatAttribute(node, 'epsilon', 1e-5), activation: 'none' };
  const y = makeNode(nameOf(node, weight, call), op, [x.node], {
    weight,
    bias: vector(2, 'bias', false),
    running_mean: vector(3, 'mean', true),
    running_var: vector(4, 'variance', true),
  });
  return data(y, x.dimensions);
}

function layerNorm(call: OnnxCall): Data {
  const { node, parameters, inputs } = call;
  const x = dataInput(call, 0);
  const last = x.dimensions.length - 1;
  if (positive(intAttribute(node, 'axis', -1), x.dimensions.length) !== last) {
    throw hasNoCost(node, 'it normalises more than channels');
  }
  const scale = constantInput(call, 1, 'scale');
  const channels = axisSize(x.node, 'c');
  const epsilon = floatAttribute(node, 'epsilon', 1e-5);
  const isPlain = inputs[2] === undefined && scale.numbers.isKnown && isOne(scale);
  if (isPlain) return normalized(call, x, last, epsilon);
  if (!holds(x, last, ['c'])) throw hasNoCost(node, 'it does not normalise channels');
  const weight = parameters.add(scale, [channels]);
  const bias =
    inputs[2] === undefined
      ? parameters.fill(0, channels)
      : parameters.add(constantInput(call, 2, 'bias'), [channels]);
  const op: Op = { type: 'layer-norm', epsilon, affine: true };
  return data(makeNode(nameOf(node, weight, call), op, [x.node], { weight, bias }), x.dimensions);
}

/** Layer norm along a dimension, without weights. */
export function normalized({ node }: Pick<OnnxCall, 'node'>, x: Data, axis: number, epsilon: number): Data {
  const dimension = positive(axis, x.dimensions.length);
  if (dimension === undefined || !holds(x, dimension, ['c']))
    throw hasNoCost(node, 'it does not normalise channels');
  return data(makeNode(nameOf(node), { type: 'layer-norm', epsilon, affine: false }, [x.node]), x.dimensions);
}

function isOne(constant: Constant): boolean {
  return Array.from(constant.numbers.all()).every((number) => number === 1);
}

/** An activation of the first input. */
export function activation(call: OnnxCall, kind: Activation): Data {
  return chain(call, dataInput(call, 0), [{ kind: 'activation', activation: kind }]);
}

function gelu(call: OnnxCall): Data {
  if (textAttribute(call.node, 'approximate', 'none') !== 'none')
    throw hasNoCost(call.node, 'only the exact GELU has');
  return activation(call, 'gelu');
}

function clip(call: OnnxCall): Data {
  const { node, inputs } = call;
  if (inputs.slice(1).some((limit) => limit?.kind === 'data'))
    throw hasNoCost(node, 'its limits are computed from the input');
  const least = numbersInput(call, 1)?.[0] ?? floatAttribute(node, 'min', -Infinity);
  const most = numbersInput(call, 2)?.[0] ?? floatAttribute(node, 'max', Infinity);
  if (least === 0 && most === 6) return activation(call, 'relu6');
  if (least === 0 && most > 3e38) return activation(call, 'relu');
  throw hasNoCost(node, `only clipping to 0…6 or below 0 has, not to ${least}…${most}`);
}

/** relu6(6 · (α·x + β)) / 6 is α·x + β cut off at 0 and 1. */
function hardSigmoidSteps(alpha: number, beta: number): ElementwiseStep[] {
  return [
    { kind: 'affine', scale: 6 * alpha, shift: 6 * beta },
    { kind: 'activation', activation: 'relu6' },
    { kind: 'affine', scale: 1 / 6, shift: 0 },
  ];
}

function hardSigmoid(call: OnnxCall): Data {
  const { node } = call;
  const steps = hardSigmoidSteps(floatAttribute(node, 'alpha', 0.2), floatAttribute(node, 'beta', 0.5));
  return chain(call, dataInput(call, 0), steps);
}

function hardSwish(call: OnnxCall): Data {
  const x = dataInput(call, 0);
  return chain(call, x, [...hardSigmoidSteps(1 / 6, 0.5), { kind: 'mul' }], [x.node]);
}

function globalPool(call: OnnxCall): Data {
  const x = mapInput(call);
  return data(makeNode(nameOf(call.node), { type: 'global-pool' }, [x.node]), [
    x.dimensions[0] ?? [],
    ['c'],
    [],
    [],
  ]);
}

/** The mean over all pixels. */
function reduceMean(call: OnnxCall): Data {
  const { node } = call;
  const x = dataInput(call, 0);
  const rank = x.dimensions.length;
  const axes = numbersInput(call, 1) ?? intsAttribute(node, 'axes') ?? x.dimensions.map((_, i) => i);
  const reduced = new Set(axes.map((axis) => positive(axis, rank)));
  const isReduced = (i: number): boolean => reduced.has(i);
  const gone = x.dimensions.filter((_, i) => isReduced(i)).flat();
  const kept = x.dimensions.filter((_, i) => !isReduced(i)).flat();
  const overPixels =
    gone.every((axis) => axis === 'h' || axis === 'w') && !kept.includes('h') && !kept.includes('w');
  if (reduced.has(undefined) || !overPixels) throw hasNoCost(node, 'only the mean over all pixels has');
  const y = makeNode(nameOf(node), { type: 'global-pool' }, [x.node]);
  const dimensions =
    intAttribute(node, 'keepdims', 1) === 1
      ? x.dimensions.map((axes, i) => (isReduced(i) ? [] : axes))
      : x.dimensions.filter((_, i) => !isReduced(i));
  return data(y, dimensions);
}

function softmax(call: OnnxCall): Data {
  const { node, opset } = call;
  const x = dataInput(call, 0);
  const axis = positive(intAttribute(node, 'axis', opset < 13 ? 1 : -1), x.dimensions.length) ?? -1;
  // Before opset 13 everything from the axis on is one distribution.
  const behind = opset < 13 ? x.dimensions.slice(axis + 1).flat() : [];
  if (!holds(x, axis, ['c']) || behind.length > 0) throw hasNoCost(node, 'only that over channels has');
  return data(makeNode(nameOf(node), { type: 'softmax' }, [x.node]), x.dimensions);
}

function concat(call: OnnxCall): Data {
  const { node } = call;
  const parts = call.inputs.map((_, i) => dataInput(call, i));
  const [first] = parts;
  const rank = first?.dimensions.length ?? 0;
  const axis = positive(intAttribute(node, 'axis', 0), rank) ?? -1;
  const fits = (part: Data): boolean =>
    part.dimensions.length === rank &&
    holds(part, axis, ['c']) &&
    part.dimensions.every((axes, i) => i === axis || axes.join() === first?.dimensions[i]?.join());
  if (first === undefined || !parts.every(fits)) throw hasNoCost(node, 'only that of channels has');
  const y = makeNode(
    nameOf(node),
    { type: 'concat' },
    parts.map((part) => part.node),
  );
  return data(
    y,
    first.dimensions.map((axes, i) => (i === axis ? ['c'] : axes)),
  );
}

/** How far, relative to a size, a scale may be from giving it. */
const MAX_ROUNDED = 1e-4;

function resize(call: OnnxCall): Data {
  const { node } = call;
  const x = mapInput(call);
  const mode = textAttribute(node, 'coordinate_transformation_mode', 'half_pixel');
  const isBilinear =
    textAttribute(node, 'mode', 'nearest') === 'linear' &&
    ['half_pixel', 'pytorch_half_pixel', 'align_corners'].includes(mode) &&
    textAttribute(node, 'keep_aspect_ratio_policy', 'stretch') === 'stretch' &&
    intsAttribute(node, 'axes') === undefined &&
    intAttribute(node, 'antialias', 0) === 0;
  if (!isBilinear) throw hasNoCost(node, 'only bilinear interpolation has');
  const scales = numbersInput(call, 2);
  const sizes = numbersInput(call, 3);
  // In float32, as runtimes do: 3 pixels times 7/3 are 7, not a little less.
  const exact = shapeOf(x).map((size, i) => Math.fround(size * (scales?.[i] ?? NaN)));
  const wanted = sizes?.length ? sizes : exact.map(Math.floor);
  const [n, c, height = NaN, width = NaN] = wanted;
  const [batch, channels, fromHeight, fromWidth] = shapeOf(x);
  if (n !== batch || c !== channels || !(height >= 1) || !(width >= 1))
    throw hasNoCost(node, 'its sizes cannot be told');
  const alignCorners = mode === 'align_corners';
  // ONNX finds a pixel's source by the scale that is given, Widefield by that of the sizes.
  const isRounded = wanted.some((size, i) => Math.abs((exact[i] ?? NaN) - size) > MAX_ROUNDED * size);
  if (!alignCorners && isRounded) throw hasNoCost(node, 'its scales give no whole pixels');
  const becomesOne = (height === 1 && fromHeight !== 1) || (width === 1 && fromWidth !== 1);
  if (mode === 'pytorch_half_pixel' && becomesOne)
    throw hasNoCost(node, 'it takes the first pixel, not the middle');
  const op: Op = { type: 'resize', height, width, alignCorners };
  return dataIn(NCHW, makeNode(nameOf(node), op, [x.node]));
}

function transpose(call: OnnxCall): Data {
  const x = dataInput(call, 0);
  const rank = x.dimensions.length;
  const permutation = intsAttribute(call.node, 'perm') ?? x.dimensions.map((_, i) => rank - 1 - i);
  if (!isPermutation(permutation, rank)) throw hasNoCost(call.node, 'its permutation does not fit its input');
  return data(
    x.node,
    permutation.map((from) => x.dimensions[from] ?? []),
  );
}

function reshape(call: OnnxCall): Data {
  const { node, inputs } = call;
  const x = dataInput(call, 0);
  const operands = inputs.slice(1).filter((input) => input !== undefined);
  const shape = targetShape(node, shapeOf(x), operands);
  const grouped = regroup(x, shape);
  if (grouped === undefined) {
    throw hasNoCost(node, `it splits an axis: [${shapeOf(x).join(', ')}] becomes [${shape.join(', ')}]`);
  }
  return grouped;
}

/** Products broadcast by themselves; other operators would have to be told that pixels repeat. */
function expand(call: OnnxCall): Data {
  const { node } = call;
  const x = dataInput(call, 0);
  const target = numbersInput(call, 1);
  if (target === undefined) throw hasNoCost(node, 'its shape cannot be told');
  const expanded = broadcast(shapeOf(x), target);
  if (expanded.join() === shapeOf(x).join()) return x;
  if (!call.readers.every((operator) => operator === 'Mul'))
    throw hasNoCost(node, 'only in front of a Mul it has');
  return { ...x, expanded };
}

/** The shape of both together, if it is one: sizes are counted from the last, and 1 goes with any. */
function broadcast(a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => Math.max(a.at(i - rank) ?? 1, b.at(i - rank) ?? 1));
}

function dropout(call: OnnxCall): Data {
  const { node, inputs } = call;
  if (inputs[2] !== undefined && numbersInput(call, 2)?.[0] !== 0)
    throw hasNoCost(node, 'it is in training mode: export the model after eval()');
  return dataInput(call, 0);
}

/** Between numbers of any precision: all are float32 here. */
function cast(call: OnnxCall): Data {
  if (!isFloat(intAttribute(call.node, 'to', 1))) throw hasNoCost(call.node, 'it rounds');
  return dataInput(call, 0);
}
