import { makeNode } from '../../graph/builder.ts';
import { elements } from '../../graph/graph.ts';
import type { Node, Parameter } from '../../graph/graph.ts';
import type { ElementwiseStep } from '../../kernels/problem.ts';
import { hasNoCost } from './import-index.ts';
import { chain, nameOf } from './import-call.ts';
import type { OnnxCall } from './import-call.ts';
import { axisSize, data, shapeOf } from './import-values.ts';
import type { Constant, Data } from './import-values.ts';

/** Add, Sub, Mul and Div of two results, of a result and a number, or of a result and a vector over channels. */
export function combine(call: OnnxCall): Data {
  const result = combined(call);
  const shape = shapeOf(result).join();
  for (const input of call.inputs) {
    if (input?.kind === 'data' && input.expanded !== undefined && input.expanded.join() !== shape)
      throw hasNoCost(call.node, `an input is expanded to [${input.expanded.join(', ')}]`);
  }
  return result;
}

function combined(call: OnnxCall): Data {
  const { node, inputs } = call;
  const [a, b, ...others] = inputs;
  if (node.operator === 'Sum' && inputs.length === 1 && a?.kind === 'data') return a;
  if (a === undefined || b === undefined || others.length > 0)
    throw hasNoCost(node, 'it has another number of inputs than 2');
  if (a.kind === 'data' && b.kind === 'data') return withData(call, a, b);
  if (a.kind === 'data' && b.kind === 'constant') return withConstant(call, a, 0, b);
  if (a.kind === 'constant' && b.kind === 'data') return withConstant(call, b, 1, a);
  throw hasNoCost(node);
}

/** Adds a vector over channels, to a layer's own epilogue where it has room. */
export function addBias(call: OnnxCall, x: Data, bias: Constant): Data {
  const channels = axisSize(x.node, 'c');
  const single = elements(bias.shape) === 1 && channels > 1;
  const { parameters } = call;
  const vector = single
    ? parameters.fill(bias.numbers.all()[0] ?? NaN, channels)
    : parameters.add(bias, [channels]);
  const biased = withBias(call, x.node, vector);
  return data(biased, x.dimensions);
}

const STEPS = { Add: 'add', Sum: 'add', Sub: 'sub', Mul: 'mul' } as const;

function withData(call: OnnxCall, a: Data, b: Data): Data {
  const { node } = call;
  const { operator } = node;
  if (operator !== 'Add' && operator !== 'Sum' && operator !== 'Sub' && operator !== 'Mul')
    throw hasNoCost(node);
  if (isSameShape(a, b)) return chain(call, a, [{ kind: STEPS[operator] }], [b.node]);
  const [map, gate] = elements(a.node.shape) >= elements(b.node.shape) ? [a, b] : [b, a];
  if (operator === 'Mul' && isGateOf(map, gate)) {
    return data(makeNode(nameOf(node), { type: 'channel-scale' }, [map.node, gate.node]), map.dimensions);
  }
  throw hasNoCost(node, `it combines [${shapeOf(a).join(', ')}] with [${shapeOf(b).join(', ')}]`);
}

/** Whether every dimension of one tensor holds what that of the other holds. */
function isSameShape(a: Data, b: Data): boolean {
  const sameNode = a.node.shape.every((size, i) => size === b.node.shape[i]);
  return sameNode && aligned(a, b).every(([left, right]) => left === right);
}

/** Whether one tensor is one number for each image and channel of the other. */
function isGateOf(map: Data, gate: Data): boolean {
  const [n, height, width, c] = gate.node.shape;
  const fits = n === map.node.shape[0] && height === 1 && width === 1 && c === map.node.shape[3];
  const isOnes = (left: string, right: string): boolean => right === '' && /^[hw,]*$/.test(left);
  return fits && aligned(map, gate).every(([left, right]) => left === right || isOnes(left, right));
}

/** Axes of the dimensions that broadcasting puts beside each other, counted from the last. */
function aligned(a: Data, b: Data): (readonly [string, string])[] {
  const rank = Math.max(a.dimensions.length, b.dimensions.length);
  return Array.from({ length: rank }, (_, i) => {
    return [a.dimensions.at(-1 - i)?.join() ?? '', b.dimensions.at(-1 - i)?.join() ?? ''] as const;
  });
}

/** @param index which of the operands the result is; the constant is the other */
function withConstant(call: OnnxCall, x: Data, index: 0 | 1, constant: Constant): Data {
  const { node, parameters } = call;
  if (elements(constant.shape) === 1 && constant.shape.length <= x.dimensions.length) {
    return chain(call, x, [affineStep(call, index, constant.numbers.all()[0] ?? NaN)]);
  }
  if (!isOverChannels(x, constant)) {
    throw hasNoCost(
      node,
      `it combines [${shapeOf(x).join(', ')}] with a constant [${constant.shape.join(', ')}]`,
    );
  }
  switch (node.operator) {
    case 'Add':
    case 'Sum':
      return addBias(call, x, constant);
    case 'Mul': {
      const gamma = parameters.add(constant, [axisSize(x.node, 'c')]);
      return data(scaled(call, x.node, gamma, call.isUsedOnce(index)), x.dimensions);
    }
    default:
      throw hasNoCost(node, 'only adding a vector and multiplying with one has');
  }
}

function affineStep({ node }: OnnxCall, index: 0 | 1, value: number): ElementwiseStep {
  const affine = (scale: number, shift: number): ElementwiseStep => ({ kind: 'affine', scale, shift });
  switch (node.operator) {
    case 'Add':
    case 'Sum':
      return affine(1, value);
    case 'Mul':
      return affine(value, 0);
    case 'Sub':
      return index === 0 ? affine(1, -value) : affine(-1, value);
    default:
      if (index === 0) return affine(1 / value, 0);
      throw hasNoCost(node, 'it divides by the input');
  }
}

/** Whether broadcasting gives each channel one number of a constant. */
function isOverChannels(x: Data, constant: Constant): boolean {
  const channels = axisSize(x.node, 'c');
  if (elements(constant.shape) !== channels || constant.shape.length > x.dimensions.length) return false;
  const axis = constant.shape.length - constant.shape.indexOf(channels);
  return x.dimensions.at(-axis)?.join() === 'c';
}

/** Exporters write the bias of a linear layer, and the one of a norm taken apart, as an operator of its own. */
function withBias(call: OnnxCall, node: Node, bias: Parameter): Node {
  const { op, inputs } = node;
  const { parameters } = call;
  const owner = call.node.operator === 'Gemm' || ownsProducer(call);
  if ((op.type === 'linear' || op.type === 'conv') && owner && !op.epilogue.bias && isPlain(op.epilogue)) {
    const epilogue = { ...op.epilogue, bias: true };
    return makeNode(node.name, { ...op, epilogue }, inputs, { ...node.parameters, bias });
  }
  if (op.type === 'layer-norm' && op.affine && owner && isZero(call, node.parameters['bias'])) {
    return makeNode(node.name, op, inputs, { ...node.parameters, bias });
  }
  const channels = node.shape[3];
  return makeNode(nameOf(call.node), { type: 'batch-norm', epsilon: 0, activation: 'none' }, [node], {
    weight: parameters.fill(1, channels),
    bias,
    running_mean: parameters.fill(0, channels, true),
    running_var: parameters.fill(1, channels, true),
  });
}

/** The factors become a norm's weights, or a layer scale. */
function scaled(call: OnnxCall, node: Node, gamma: Parameter, isOwn: boolean): Node {
  const { op } = node;
  if (op.type === 'layer-norm' && !op.affine && isOwn) {
    const bias = call.parameters.fill(0, node.shape[3]);
    return makeNode(nameOf(call.node, gamma, call), { ...op, affine: true }, node.inputs, {
      weight: gamma,
      bias,
    });
  }
  return makeNode(nameOf(call.node, gamma, call), { type: 'layer-scale' }, [node], { gamma });
}

/** Whether the result that a constant is combined with has no other reader, so that its node can be replaced. */
function ownsProducer(call: OnnxCall): boolean {
  return call.inputs.every((input, i) => input?.kind !== 'data' || call.isUsedOnce(i));
}

function isPlain({
  activation,
  finalActivation,
  scale,
  residual,
}: {
  activation: string;
  finalActivation: string;
  scale: boolean;
  residual: boolean;
}): boolean {
  return activation === 'none' && finalActivation === 'none' && !scale && !residual;
}

function isZero({ parameters }: OnnxCall, bias: Parameter | undefined): boolean {
  return bias !== undefined && parameters.constantOf(bias)?.filled === 0;
}
