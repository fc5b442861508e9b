import type { Epilogue } from '../kernels/problem.ts';
import { activate } from './activations.ts';
import { at, tensorNamed } from './tensors.ts';
import type { Tensors } from './tensors.ts';

/**
 * Applies `finalActivation(scale · activation(accumulator + bias) + residual)` in place to an
 * accumulator [rows, pitch], of which the first `channels` floats of each row are used.
 */
export function applyEpilogue(
  epilogue: Epilogue,
  inputs: Tensors,
  weights: Tensors,
  output: Float64Array,
  channels: number,
  pitch: number,
): void {
  const bias = epilogue.bias ? tensorNamed(weights, 'bias') : undefined;
  const scale = epilogue.scale ? tensorNamed(weights, 'scale') : undefined;
  const residual = epilogue.residual ? tensorNamed(inputs, 'residual') : undefined;
  for (let row = 0; row < output.length; row += pitch) {
    for (let c = 0; c < channels; c++) {
      const biased = at(output, row + c) + (bias ? at(bias, c) : 0);
      const scaled = activate(epilogue.activation, biased) * (scale ? at(scale, c) : 1);
      const sum = scaled + (residual ? at(residual, row + c) : 0);
      output[row + c] = activate(epilogue.finalActivation, sum);
    }
  }
}
