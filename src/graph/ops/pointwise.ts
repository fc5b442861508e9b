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
