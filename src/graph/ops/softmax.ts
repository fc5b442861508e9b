import type { OpDefinition, SoftmaxOp } from '../op.ts';
import { onlyInput, rowsOf } from './shape-rules.ts';
import type { SoftmaxProblem } from '../../kernels/problem.ts';
import { at, tensorNamed } from '../tensors.ts';
import type { Tensors } from '../tensors.ts';

/** y[c] = e^(x[c] − max x) / Σ e^(x − max x) over the channels of each row. */
export function softmax(problem: SoftmaxProblem, inputs: Tensors): Float64Array {
  const { rows, channels, pitch } = problem;
  const x = tensorNamed(inputs, 'x');
  const y = new Float64Array(rows * pitch);
  for (let row = 0; row < rows * pitch; row += pitch) {
    let largest = -Infinity;
    for (let c = 0; c < channels; c++) largest = Math.max(largest, at(x, row + c));
    let sum = 0;
    for (let c = 0; c < channels; c++) sum += Math.exp(at(x, row + c) - largest);
    for (let c = 0; c < channels; c++) y[row + c] = Math.exp(at(x, row + c) - largest) / sum;
  }
  return y;
}

export const softmaxDefinition: OpDefinition<SoftmaxOp> = {
  shape: (_, inputs) => onlyInput('softmax', inputs),
  lower: (_, { output, pitch }) => ({
    problem: { op: 'softmax', rows: rowsOf(output), channels: output[3], pitch: pitch(output[3]) },
    inputs: ['x'],
  }),
};
