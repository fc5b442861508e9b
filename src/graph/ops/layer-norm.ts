import { invalidArgument } from '../../core/errors.ts';
import type { LayerNormProblem } from '../../kernels/problem.ts';
import type { LayerNormGradientProblem, LayerNormSumsProblem } from '../../kernels/training/problems.ts';
import type { LayerNormOp, OpDefinition } from '../op.ts';
import type { LayerNormGradientOp, LayerNormSumsOp } from '../training-ops.ts';
import { onlyInput, pairShape, rowsOf } from './shape-rules.ts';
import { at, tensorNamed } from '../tensors.ts';
import type { Tensors } from '../tensors.ts';

/** y = (x − mean) / √(variance + epsilon) · weight + bias over the channels of each row; the variance is the biased one. */
export function layerNorm(problem: LayerNormProblem, inputs: Tensors, weights: Tensors): Float64Array {
  const { rows, channels, pitch, epsilon, affine } = problem;
  const x = tensorNamed(inputs, 'x');
  const weight = affine ? tensorNamed(weights, 'weight') : undefined;
  const bias = affine ? tensorNamed(weights, 'bias') : undefined;
  const y = new Float64Array(rows * pitch);
  for (let row = 0; row < rows * pitch; row += pitch) {
    const { mean, inverse } = rowStatistics(x, row, channels, epsilon);
    for (let c = 0; c < channels; c++) {
      const normal = (at(x, row + c) - mean) * inverse;
      y[row + c] = normal * (weight ? at(weight, c) : 1) + (bias ? at(bias, c) : 0);
    }
  }
  return y;
}

/** Mean, and 1 / √(variance + epsilon), of the row that begins at an index. */
function rowStatistics(
  x: Tensors[string],
  row: number,
  channels: number,
  epsilon: number,
): { readonly mean: number; readonly inverse: number } {
  let mean = 0;
  for (let c = 0; c < channels; c++) mean += at(x, row + c) / channels;
  let variance = 0;
  for (let c = 0; c < channels; c++) variance += (at(x, row + c) - mean) ** 2 / channels;
  return { mean, inverse: 1 / Math.sqrt(variance + epsilon) };
}

export const layerNormDefinition: OpDefinition<LayerNormOp> = {
  shape: (_, inputs) => onlyInput('layer-norm', inputs),
  lower: ({ epsilon, affine }, { output, pitch }) => ({
    problem: {
      op: 'layer-norm',
      rows: rowsOf(output),
      channels: output[3],
      pitch: pitch(output[3]),
      epsilon,
      affine,
    },
    inputs: ['x'],
  }),
  gradient(node, dy, g) {
    const [x] = node.inputs;
    if (x === undefined) throw invalidArgument(`${node.name} needs an input.`);
    const { epsilon, affine } = node.op;
    const { weight } = node.parameters;
    const wantsSums = g.wantsParameter('weight') || g.wantsParameter('bias');
    const sums = wantsSums ? g.make({ type: 'layer-norm-sums', epsilon }, [x, dy]) : undefined;
    const op: LayerNormGradientOp = { type: 'layer-norm-gradient', epsilon, affine };
    return {
      inputs: [g.wantsInput(0) ? g.make(op, [x, dy], weight && { weight }) : undefined],
      parameters: {
        ...(sums && g.wantsParameter('bias') && { bias: g.make({ type: 'row-slice', row: 0 }, [sums]) }),
        ...(sums && g.wantsParameter('weight') && { weight: g.make({ type: 'row-slice', row: 1 }, [sums]) }),
      },
    };
  },
};

/** With g = dy · weight: dx = (g − mean(g) − x̂ · mean(g · x̂)) / √(variance + epsilon), means over the channels of each row. */
export function layerNormGradient(
  problem: LayerNormGradientProblem,
  inputs: Tensors,
  weights: Tensors,
): Float64Array {
  const { rows, channels, pitch, epsilon, affine } = problem;
  const x = tensorNamed(inputs, 'x');
  const dy = tensorNamed(inputs, 'dy');
  const weight = affine ? tensorNamed(weights, 'weight') : undefined;
  const dx = new Float64Array(rows * pitch);
  for (let row = 0; row < rows * pitch; row += pitch) {
    const { mean, inverse } = rowStatistics(x, row, channels, epsilon);
    const normal = (c: number): number => (at(x, row + c) - mean) * inverse;
    const scaled = (c: number): number => at(dy, row + c) * (weight ? at(weight, c) : 1);
    let sum = 0;
    let product = 0;
    for (let c = 0; c < channels; c++) {
      sum += scaled(c) / channels;
      product += (scaled(c) * normal(c)) / channels;
    }
    for (let c = 0; c < channels; c++) dx[row + c] = (scaled(c) - sum - normal(c) * product) * inverse;
  }
  return dx;
}

export const layerNormGradientDefinition: OpDefinition<LayerNormGradientOp> = {
  shape: ({ type }, inputs) => pairShape(type, inputs),
  lower: ({ type, epsilon, affine }, { output, pitch }) => ({
    problem: {
      op: type,
      rows: rowsOf(output),
      channels: output[3],
      pitch: pitch(output[3]),
      epsilon,
      affine,
    },
    inputs: ['x', 'dy'],
  }),
};

/** Row 0: Σ dy of each channel over all rows; row 1: Σ dy · x̂. */
export function layerNormSums(problem: LayerNormSumsProblem, inputs: Tensors): Float64Array {
  const { rows, channels, pitch, epsilon } = problem;
  const x = tensorNamed(inputs, 'x');
  const dy = tensorNamed(inputs, 'dy');
  const y = new Float64Array(2 * pitch);
  for (let row = 0; row < rows * pitch; row += pitch) {
    const { mean, inverse } = rowStatistics(x, row, channels, epsilon);
    for (let c = 0; c < channels; c++) {
      y[c] = at(y, c) + at(dy, row + c);
      y[pitch + c] = at(y, pitch + c) + at(dy, row + c) * (at(x, row + c) - mean) * inverse;
    }
  }
  return y;
}

export const layerNormSumsDefinition: OpDefinition<LayerNormSumsOp> = {
  shape: ({ type }, inputs) => [1, 1, 2, pairShape(type, inputs)[3]],
  lower({ type, epsilon }, { inputs: [x], output, pitch }) {
    const channels = output[3];
    return {
      problem: { op: type, rows: rowsOf(x ?? output), channels, pitch: pitch(channels), epsilon },
      inputs: ['x', 'dy'],
    };
  },
};
