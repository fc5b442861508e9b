import type { LayerNormOp, OpDefinition } from '../op.ts';
import { onlyInput, rowsOf } from './shape-rules.ts';
import type { LayerNormProblem } from '../../kernels/problem.ts';
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
    let mean = 0;
    for (let c = 0; c < channels; c++) mean += at(x, row + c) / channels;
    let variance = 0;
    for (let c = 0; c < channels; c++) variance += (at(x, row + c) - mean) ** 2 / channels;
    const inverse = 1 / Math.sqrt(variance + epsilon);
    for (let c = 0; c < channels; c++) {
      const normal = (at(x, row + c) - mean) * inverse;
      y[row + c] = normal * (weight ? at(weight, c) : 1) + (bias ? at(bias, c) : 0);
    }
  }
  return y;
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
};
