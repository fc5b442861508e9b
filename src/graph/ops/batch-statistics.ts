import { invalidArgument } from '../../core/errors.ts';
import type {
  BatchNormGradientProblem,
  BatchNormSumsProblem,
  BatchNormalizeProblem,
  BatchStatisticsProblem,
} from '../../kernels/training/problems.ts';
import type { Shape } from '../graph.ts';
import type { OpDefinition, Sizes } from '../op.ts';
import type {
  BatchNormGradientOp,
  BatchNormSumsOp,
  BatchNormalizeOp,
  BatchStatisticsOp,
} from '../training-ops.ts';
import { at, tensorNamed } from '../tensors.ts';
import type { Tensors } from '../tensors.ts';
import { commonShape, expectShape, inputCount, onlyInput, rowsOf } from './shape-rules.ts';

/** Batch norm as it is trained: statistics of the batch, what they normalise, and the gradients (Ioffe & Szegedy 2015). */

/** Row 0: the mean of each channel over all rows; row 1: the biased variance. */
export function batchStatistics(problem: BatchStatisticsProblem, inputs: Tensors): Float64Array {
  const { rows, channels, pitch } = problem;
  const x = tensorNamed(inputs, 'x');
  const y = new Float64Array(2 * pitch);
  for (let c = 0; c < channels; c++) {
    let mean = 0;
    for (let row = 0; row < rows; row++) mean += at(x, row * pitch + c) / rows;
    let variance = 0;
    for (let row = 0; row < rows; row++) variance += (at(x, row * pitch + c) - mean) ** 2 / rows;
    y[c] = mean;
    y[pitch + c] = variance;
  }
  return y;
}

/** y = x̂ · weight + bias, with x̂ = (x − mean) / √(variance + epsilon). */
export function batchNormalize(
  problem: BatchNormalizeProblem,
  inputs: Tensors,
  weights: Tensors,
): Float64Array {
  const { rows, channels, pitch } = problem;
  const normal = normalizer(problem, inputs);
  const weight = tensorNamed(weights, 'weight');
  const bias = tensorNamed(weights, 'bias');
  const y = new Float64Array(rows * pitch);
  for (let row = 0; row < rows * pitch; row += pitch) {
    for (let c = 0; c < channels; c++) y[row + c] = normal(row, c) * at(weight, c) + at(bias, c);
  }
  return y;
}

/** Row 0: Σ dy of each channel over all rows; row 1: Σ dy · x̂. */
export function batchNormSums(problem: BatchNormSumsProblem, inputs: Tensors): Float64Array {
  const { rows, channels, pitch } = problem;
  const normal = normalizer(problem, inputs);
  const dy = tensorNamed(inputs, 'dy');
  const y = new Float64Array(2 * pitch);
  for (let row = 0; row < rows * pitch; row += pitch) {
    for (let c = 0; c < channels; c++) {
      y[c] = at(y, c) + at(dy, row + c);
      y[pitch + c] = at(y, pitch + c) + at(dy, row + c) * normal(row, c);
    }
  }
  return y;
}

/** dx = weight / √(variance + epsilon) · (dy − Σdy / rows − x̂ · Σ(dy·x̂) / rows). */
export function batchNormGradient(
  problem: BatchNormGradientProblem,
  inputs: Tensors,
  weights: Tensors,
): Float64Array {
  const { rows, channels, pitch, epsilon } = problem;
  const normal = normalizer(problem, inputs);
  const dy = tensorNamed(inputs, 'dy');
  const sums = tensorNamed(inputs, 'sums');
  const statistics = tensorNamed(inputs, 'statistics');
  const weight = tensorNamed(weights, 'weight');
  const dx = new Float64Array(rows * pitch);
  for (let c = 0; c < channels; c++) {
    const factor = at(weight, c) / Math.sqrt(at(statistics, pitch + c) + epsilon);
    for (let row = 0; row < rows * pitch; row += pitch) {
      const projected = at(sums, c) + normal(row, c) * at(sums, pitch + c);
      dx[row + c] = factor * (at(dy, row + c) - projected / rows);
    }
  }
  return dx;
}

/** x̂ at the row that begins at an index, in a channel. */
function normalizer(
  { pitch, epsilon }: { readonly pitch: number; readonly epsilon: number },
  inputs: Tensors,
): (row: number, channel: number) => number {
  const x = tensorNamed(inputs, 'x');
  const statistics = tensorNamed(inputs, 'statistics');
  return (row, c) => (at(x, row + c) - at(statistics, c)) / Math.sqrt(at(statistics, pitch + c) + epsilon);
}

export const batchStatisticsDefinition: OpDefinition<BatchStatisticsOp> = {
  shape: ({ type }, inputs) => [1, 1, 2, onlyInput(type, inputs)[3]],
  lower: ({ type }, sizes) => ({ problem: { op: type, ...rowsOfInput(sizes) }, inputs: ['x'] }),
};

export const batchNormalizeDefinition: OpDefinition<BatchNormalizeOp> = {
  shape({ type }, inputs) {
    const [x, statistics] = inputCount(type, inputs, 2);
    return withStatistics(type, x, { statistics });
  },
  lower: ({ type, epsilon }, sizes) => ({
    problem: { op: type, ...rowsOfInput(sizes), epsilon },
    inputs: ['x', 'statistics'],
  }),
  /** Both ways that x has into y, directly and through its statistics, are in the gradient to x. */
  gradient(node, dy, g) {
    const [x, statistics] = node.inputs;
    const { weight } = node.parameters;
    if (x === undefined || weight === undefined || statistics?.op.type !== 'batch-statistics') {
      throw invalidArgument(`${node.name} can be trained only with the statistics of its own input.`);
    }
    if (statistics.inputs[0] !== x) {
      throw invalidArgument(`${node.name} can be trained only with the statistics of its own input.`);
    }
    const { epsilon } = node.op;
    const sums = g.make({ type: 'batch-norm-sums', epsilon }, [x, dy, statistics]);
    const inputs = [x, dy, statistics, sums];
    return {
      inputs: [
        g.wantsInput(0) ? g.make({ type: 'batch-norm-gradient', epsilon }, inputs, { weight }) : undefined,
      ],
      parameters: {
        ...(g.wantsParameter('bias') && { bias: g.make({ type: 'row-slice', row: 0 }, [sums]) }),
        ...(g.wantsParameter('weight') && { weight: g.make({ type: 'row-slice', row: 1 }, [sums]) }),
      },
    };
  },
};

export const batchNormSumsDefinition: OpDefinition<BatchNormSumsOp> = {
  shape({ type }, inputs) {
    const [x, dy, statistics] = inputCount(type, inputs, 3);
    const shape = withStatistics(type, x, { statistics });
    expectShape(type, 'output gradient', dy, shape);
    return [1, 1, 2, shape[3]];
  },
  lower: ({ type, epsilon }, sizes) => ({
    problem: { op: type, ...rowsOfInput(sizes), epsilon },
    inputs: ['x', 'dy', 'statistics'],
  }),
};

export const batchNormGradientDefinition: OpDefinition<BatchNormGradientOp> = {
  shape({ type }, inputs) {
    const [x, dy, statistics, sums] = inputCount(type, inputs, 4);
    const shape = withStatistics(type, x, { statistics, sums });
    expectShape(type, 'output gradient', dy, shape);
    return shape;
  },
  lower: ({ type, epsilon }, sizes) => ({
    problem: { op: type, ...rowsOfInput(sizes), epsilon },
    inputs: ['x', 'dy', 'statistics', 'sums'],
  }),
};

function withStatistics(
  op: string,
  x: Shape | undefined,
  rows: Readonly<Record<string, Shape | undefined>>,
): Shape {
  const shape = commonShape(op, x ? [x] : []);
  for (const [name, actual] of Object.entries(rows)) expectShape(op, name, actual, [1, 1, 2, shape[3]]);
  return shape;
}

function rowsOfInput({ inputs: [input], output, pitch }: Sizes): {
  readonly rows: number;
  readonly channels: number;
  readonly pitch: number;
} {
  const shape = input ?? output;
  return { rows: rowsOf(shape), channels: shape[3], pitch: pitch(shape[3]) };
}
