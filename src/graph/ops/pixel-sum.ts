import { invalidArgument } from '../../core/errors.ts';
import type { PixelBroadcastProblem, PixelSumProblem } from '../../kernels/training/problems.ts';
import type { OpDefinition } from '../op.ts';
import type { PixelBroadcastOp, PixelSumOp } from '../training-ops.ts';
import { at, tensorNamed } from '../tensors.ts';
import type { Tensors } from '../tensors.ts';
import { commonShape, inputCount, onlyInput } from './shape-rules.ts';

/** y[n, c] = Σ over pixels p of x[n, p, c], or of x[n, p, c] · x1[n, p, c] for a product. */
export function pixelSum(problem: PixelSumProblem, inputs: Tensors): Float64Array {
  const { batch, pixels, channels, pitch, product } = problem;
  const x = tensorNamed(inputs, 'x');
  const factor = product ? tensorNamed(inputs, 'x1') : undefined;
  const y = new Float64Array(batch * pitch);
  for (let n = 0; n < batch; n++) {
    for (let p = n * pixels; p < (n + 1) * pixels; p++) {
      for (let c = 0; c < channels; c++) {
        const value = at(x, p * pitch + c) * (factor ? at(factor, p * pitch + c) : 1);
        y[n * pitch + c] = at(y, n * pitch + c) + value;
      }
    }
  }
  return y;
}

export const pixelSumDefinition: OpDefinition<PixelSumOp> = {
  shape(op, inputs) {
    const [batch, , , channels] = commonShape(op.type, inputCount(op.type, inputs, op.product ? 2 : 1));
    return [op.of === 'batch' ? 1 : batch, 1, 1, channels];
  },
  lower({ type, product, of }, { inputs: [input], output, pitch }) {
    const [images, height, width, channels] = input ?? output;
    const [batch, pixels] = of === 'batch' ? [1, images * height * width] : [images, height * width];
    return {
      problem: { op: type, batch, pixels, channels, pitch: pitch(channels), product },
      inputs: product ? ['x', 'x1'] : ['x'],
    };
  },
};

/** y[n, p, c] = factor · x[n, c]. */
export function pixelBroadcast(problem: PixelBroadcastProblem, inputs: Tensors): Float64Array {
  const { batch, pixels, channels, pitch, factor } = problem;
  const x = tensorNamed(inputs, 'x');
  const y = new Float64Array(batch * pixels * pitch);
  for (let row = 0; row < batch * pixels; row++) {
    const n = Math.floor(row / pixels);
    for (let c = 0; c < channels; c++) y[row * pitch + c] = factor * at(x, n * pitch + c);
  }
  return y;
}

export const pixelBroadcastDefinition: OpDefinition<PixelBroadcastOp> = {
  shape({ type, height, width }, inputs) {
    const [batch, rows, columns, channels] = onlyInput(type, inputs);
    if (rows !== 1 || columns !== 1) {
      throw invalidArgument(`A ${type} takes [N, 1, 1, C], got [${inputs[0]?.join(', ')}].`);
    }
    return [batch, height, width, channels];
  },
  lower: ({ type, factor }, { output: [batch, height, width, channels], pitch }) => ({
    problem: { op: type, batch, pixels: height * width, channels, pitch: pitch(channels), factor },
    inputs: ['x'],
  }),
};
