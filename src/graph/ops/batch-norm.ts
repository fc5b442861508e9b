import type { BatchNormOp, OpDefinition } from '../op.ts';
import { onlyInput, rowsOf } from './shape-rules.ts';
import type { BatchNormProblem } from '../../kernels/problem.ts';
import { activate } from '../activations.ts';
import { at, tensorNamed } from '../tensors.ts';
import type { Tensors } from '../tensors.ts';

/** y = activation((x − running_mean) / √(running_var + epsilon) · weight + bias). */
export function batchNorm(problem: BatchNormProblem, inputs: Tensors, weights: Tensors): Float64Array {
  const { rows, channels, pitch, epsilon, activation } = problem;
  const x = tensorNamed(inputs, 'x');
  const weight = tensorNamed(weights, 'weight');
  const bias = tensorNamed(weights, 'bias');
  const mean = tensorNamed(weights, 'running_mean');
  const variance = tensorNamed(weights, 'running_var');
  const y = new Float64Array(rows * pitch);
  for (let row = 0; row < rows * pitch; row += pitch) {
    for (let c = 0; c < channels; c++) {
      const normal = (at(x, row + c) - at(mean, c)) / Math.sqrt(at(variance, c) + epsilon);
      y[row + c] = activate(activation, normal * at(weight, c) + at(bias, c));
    }
  }
  return y;
}

export const batchNormDefinition: OpDefinition<BatchNormOp> = {
  shape: (_, inputs) => onlyInput('batch-norm', inputs),
  lower: ({ epsilon, activation }, { output, pitch }) => ({
    problem: {
      op: 'batch-norm',
      rows: rowsOf(output),
      channels: output[3],
      pitch: pitch(output[3]),
      epsilon,
      activation,
    },
    inputs: ['x'],
  }),
};
