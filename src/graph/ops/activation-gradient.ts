import type { ActivationGradientProblem } from '../../kernels/training/problems.ts';
import { activationDerivative } from '../activations.ts';
import type { OpDefinition } from '../op.ts';
import type { ActivationGradientOp } from '../training-ops.ts';
import { at, tensorNamed } from '../tensors.ts';
import type { Tensors } from '../tensors.ts';
import { pairShape, rowsOf } from './shape-rules.ts';

/** dx = dy · φ′(x). */
export function activationGradient(problem: ActivationGradientProblem, inputs: Tensors): Float64Array {
  const { rows, channels, pitch, activation } = problem;
  const x = tensorNamed(inputs, 'x');
  const dy = tensorNamed(inputs, 'dy');
  const dx = new Float64Array(rows * pitch);
  for (let row = 0; row < rows * pitch; row += pitch) {
    for (let c = 0; c < channels; c++) {
      dx[row + c] = at(dy, row + c) * activationDerivative(activation, at(x, row + c));
    }
  }
  return dx;
}

export const activationGradientDefinition: OpDefinition<ActivationGradientOp> = {
  shape: ({ type }, inputs) => pairShape(type, inputs),
  lower: ({ type, activation }, { output, pitch }) => ({
    problem: { op: type, rows: rowsOf(output), channels: output[3], pitch: pitch(output[3]), activation },
    inputs: ['x', 'dy'],
  }),
};
