import { makeNode } from '../../graph/builder.ts';
import type { ConvOp, Op } from '../../graph/op.ts';
import { NO_EPILOGUE } from '../../kernels/problem.ts';
import { constantInput, dataInput, nameOf } from './import-call.ts';
import type { OnnxCall } from './import-call.ts';
import { addBias } from './import-elementwise.ts';
import { floatAttribute, hasNoCost, intAttribute } from './import-index.ts';
import { axisSize, data, holds, reshaped, shapeOf, transposed } from './import-values.ts';
import type { Axis, Constant, Data } from './import-values.ts';

/** A matrix product with a bias. */
export function gemm(call: OnnxCall): Data {
  const { node } = call;
  const b = constantInput(call, 1, 'matrix');
  const isScaled = floatAttribute(node, 'alpha', 1) !== 1 || floatAttribute(node, 'beta', 1) !== 1;
  if (isScaled || intAttribute(node, 'transA', 0) !== 0)
    throw hasNoCost(node, 'it scales or transposes its input');
  const product = linear(call, intAttribute(node, 'transB', 0) === 1 ? b : transposed(b, [1, 0]));
  const c = call.inputs[2];
  return c === undefined ? product : addBias(call, product, constantInput(call, 2, 'bias'));
}

/** A matrix product with weights. */
export function matMul(call: OnnxCall): Data {
  const b = constantInput(call, 1, 'matrix');
  if (b.shape.length !== 2) throw hasNoCost(call.node, 'its matrix has another rank than 2');
  return linear(call, transposed(b, [1, 0]));
}

/**
 * A matrix product along the last dimension. Where that holds pixels as well, as behind a flattened map, it is a convolution
 * whose kernel is as large as the map.
 *
 * @param weight [outputs, inputs]
 */
function linear(call: OnnxCall, weight: Constant): Data {
  const { node, parameters } = call;
  const x = dataInput(call, 0);
  const [outputs = 0, inputs = 0] = weight.shape;
  const last = x.dimensions.length - 1;
  const axes = x.dimensions[last] ?? [];
  if (weight.shape.length !== 2 || shapeOf(x)[last] !== inputs) {
    throw hasNoCost(node, `its matrix does not fit its input [${shapeOf(x).join(', ')}]`);
  }
  const leading = x.dimensions.slice(0, last);
  if (holds(x, last, ['c'])) {
    const matrix = parameters.add(weight, [outputs, inputs]);
    const op: Op = { type: 'linear', outputs, epilogue: NO_EPILOGUE };
    const y = makeNode(nameOf(node, matrix, call), op, [x.node], { weight: matrix });
    return data(y, [...leading, ['c']]);
  }
  const holdsMap = ['h', 'w', 'c'].every((axis) => !leading.flat().includes(axis as Axis));
  if (!holdsMap || axes.includes('n')) throw hasNoCost(node, 'it mixes pixels, not channels');
  const [, height, width, channels] = x.node.shape;
  const sizes = axes.map((axis) => axisSize(x.node, axis));
  const order = (['c', 'h', 'w'] as const).filter((axis) => axes.includes(axis));
  const unfolded = reshaped(weight, [outputs, ...sizes]);
  const kernel = transposed(unfolded, [0, ...order.map((axis) => 1 + axes.indexOf(axis))]);
  const parameter = parameters.add(kernel, [outputs, channels, height, width]);
  const op: ConvOp = {
    ...{ type: 'conv', outputs, groups: 1, kernelHeight: height, kernelWidth: width, stride: 1, dilation: 1 },
    padding: { top: 0, left: 0, bottom: 0, right: 0 },
    epilogue: NO_EPILOGUE,
  };
  return data(makeNode(nameOf(node, parameter, call), op, [x.node], { weight: parameter }), [
    ...leading,
    ['c'],
  ]);
}
