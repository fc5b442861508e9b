import { invalidArgument } from '../../core/errors.ts';
import type { ElementwiseOp, OpDefinition } from '../op.ts';
import { commonShape, rowsOf } from './shape-rules.ts';
import type { ElementwiseProblem } from '../../kernels/problem.ts';
import { activate } from '../activations.ts';
import { at, tensorNamed } from '../tensors.ts';
import type { Tensors } from '../tensors.ts';

/** A chain on every element: value = x, then each step in turn; steps with an operand take `x1`, `x2`, … in order. */
export function elementwise(problem: ElementwiseProblem, inputs: Tensors): Float64Array {
  const { rows, channels, pitch, steps } = problem;
  const x = tensorNamed(inputs, 'x');
  const y = new Float64Array(rows * pitch);
  for (let row = 0; row < rows * pitch; row += pitch) {
    for (let c = 0; c < channels; c++) {
      let value = at(x, row + c);
      let next = 1;
      const operand = (): number => at(tensorNamed(inputs, `x${next++}`), row + c);
      for (const step of steps) {
        switch (step.kind) {
          case 'add':
            value += operand();
            break;
          case 'sub':
            value -= operand();
            break;
          case 'mul':
            value *= operand();
            break;
          case 'activation':
            value = activate(step.activation, value);
            break;
          case 'affine':
            value = value * step.scale + step.shift;
            break;
        }
      }
      y[row + c] = value;
    }
  }
  return y;
}

export const elementwiseDefinition: OpDefinition<ElementwiseOp> = {
  shape({ steps }, inputs) {
    const binary = steps.filter(({ kind }) => kind === 'add' || kind === 'mul' || kind === 'sub').length;
    if (inputs.length !== binary + 1) {
      throw invalidArgument(`This element-wise chain takes ${binary + 1} inputs, got ${inputs.length}.`);
    }
    return commonShape('element-wise chain', inputs);
  },
  lower: ({ steps }, { inputs, output, pitch }) => ({
    problem: {
      op: 'elementwise',
      rows: rowsOf(output),
      channels: output[3],
      pitch: pitch(output[3]),
      steps,
    },
    inputs: inputs.map((_, i) => (i === 0 ? 'x' : `x${i}`)),
  }),
};
