import type { LinearOp, OpDefinition } from '../op.ts';
import { onlyInput, rowsOf } from './shape-rules.ts';
import type { PointwiseProblem } from '../../kernels/problem.ts';
import { applyEpilogue } from '../epilogue.ts';
import { at, tensorNamed } from '../tensors.ts';
import type { Tensors } from '../tensors.ts';

/** y[row, o] = Σ x[row, i] · weight[o, i]. */
export function pointwise(problem: PointwiseProblem, inputTensors: Tensors, weights: Tensors): Float64Array {
  const { rows, inputs, outputs, inputPitch, outputPitch, epilogue } = problem;
  const x = tensorNamed(inputTensors, 'x');
  const weight = tensorNamed(weights, 'weight');
  const y = new Float64Array(rows * outputPitch);
  for (let row = 0; row < rows; row++) {
    for (let o = 0; o < outputs; o++) {
      let sum = 0;
      for (let i = 0; i < inputs; i++) sum += at(x, row * inputPitch + i) * at(weight, o * inputs + i);
      y[row * outputPitch + o] = sum;
    }
  }
  applyEpilogue(epilogue, inputTensors, weights, y, outputs, outputPitch);
  return y;
}

/** A linear layer is a matrix product over pixels. */
export const linearDefinition: OpDefinition<LinearOp> = {
  shape(op, inputs) {
    const [batch, height, width] = onlyInput('linear', inputs, op.epilogue.residual);
    return [batch, height, width, op.outputs];
  },
  lower({ outputs, epilogue }, { inputs: [input], output, pitch }) {
    const channels = (input ?? output)[3];
    return {
      problem: {
        op: 'pointwise',
        rows: rowsOf(output),
        inputs: channels,
        outputs,
        inputPitch: pitch(channels),
        outputPitch: pitch(outputs),
        epilogue,
      },
      inputs: epilogue.residual ? ['x', 'residual'] : ['x'],
    };
  },
};
