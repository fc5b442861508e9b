import type { SoftmaxProblem } from '../../kernels/problem.ts';
import type { SoftmaxGradientProblem } from '../../kernels/training/problems.ts';
import type { OpDefinition, SoftmaxOp } from '../op.ts';
import type { SoftmaxGradientOp } from '../training-ops.ts';
import { onlyInput, pairShape, rowsOf } from './shape-rules.ts';
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
  gradient: (node, dy, g) => ({ inputs: [g.make({ type: 'softmax-gradient' }, [node, dy])], parameters: {} }),
};

/** dx = y · (dy − Σ dy · y) over the channels of each row, where `x` is y, the softmax. */
export function softmaxGradient(problem: SoftmaxGradientProblem, inputs: Tensors): Float64Array {
  const { rows, channels, pitch } = problem;
  const y = tensorNamed(inputs, 'x');
  const dy = tensorNamed(inputs, 'dy');
  const dx = new Float64Array(rows * pitch);
  for (let row = 0; row < rows * pitch; row += pitch) {
    let sum = 0;
    for (let c = 0; c < channels; c++) sum += at(dy, row + c) * at(y, row + c);
    for (let c = 0; c < channels; c++) dx[row + c] = at(y, row + c) * (at(dy, row + c) - sum);
  }
  return dx;
}

export const softmaxGradientDefinition: OpDefinition<SoftmaxGradientOp> = {
  shape: ({ type }, inputs) => pairShape(type, inputs),
  lower: ({ type }, { output, pitch }) => ({
    problem: { op: type, rows: rowsOf(output), channels: output[3], pitch: pitch(output[3]) },
    inputs: ['x', 'dy'],
  }),
};
