import type { BlurPoolProblem } from '../../kernels/problem.ts';
import type { BlurPoolGradientProblem } from '../../kernels/training/problems.ts';
import type { BlurPoolOp, OpDefinition } from '../op.ts';
import type { BlurPoolGradientOp } from '../training-ops.ts';
import { expectCounts, expectShape, onlyInput } from './shape-rules.ts';
import { at, tensorNamed } from '../tensors.ts';
import type { Tensors } from '../tensors.ts';

/** The [1 2 1]/4 filter along both axes at every `stride`-th pixel; borders are reflected without repeating the edge. */
export function blurPool(problem: BlurPoolProblem, inputs: Tensors): Float64Array {
  const { batch, height, width, channels, pitch, stride } = problem;
  const x = tensorNamed(inputs, 'x');
  const outHeight = Math.ceil(height / stride);
  const outWidth = Math.ceil(width / stride);
  const y = new Float64Array(batch * outHeight * outWidth * pitch);
  for (let pixel = 0; pixel < batch * outHeight * outWidth; pixel++) {
    const n = Math.floor(pixel / (outHeight * outWidth));
    const oy = Math.floor(pixel / outWidth) % outHeight;
    const ox = pixel % outWidth;
    for (let c = 0; c < channels; c++) {
      let sum = 0;
      for (let ky = -1; ky <= 1; ky++) {
        for (let kx = -1; kx <= 1; kx++) {
          const row = n * height + reflect(oy * stride + ky, height);
          const column = reflect(ox * stride + kx, width);
          sum += at(x, (row * width + column) * pitch + c) * (2 - Math.abs(ky)) * (2 - Math.abs(kx));
        }
      }
      y[pixel * pitch + c] = sum / 16;
    }
  }
  return y;
}

/** Position −1 is 1, `size` is size − 2; a map of one pixel repeats it. */
function reflect(position: number, size: number): number {
  if (size === 1) return 0;
  if (position < 0) return -position;
  return position < size ? position : 2 * (size - 1) - position;
}

export const blurPoolDefinition: OpDefinition<BlurPoolOp> = {
  shape({ stride }, inputs) {
    const [batch, height, width, channels] = onlyInput('blur-pool', inputs);
    expectCounts('blur-pool', { stride });
    return [batch, Math.ceil(height / stride), Math.ceil(width / stride), channels];
  },
  lower({ stride }, { inputs: [input], output, pitch }) {
    const [batch, height, width, channels] = input ?? output;
    return {
      problem: { op: 'blur-pool', batch, height, width, channels, pitch: pitch(channels), stride },
      inputs: ['x'],
    };
  },
  gradient(node, dy, g) {
    const [, height, width] = node.inputs[0]?.shape ?? node.shape;
    const op: BlurPoolGradientOp = { type: 'blur-pool-gradient', height, width, stride: node.op.stride };
    return { inputs: [g.make(op, [dy])], parameters: {} };
  },
};

/** Each output's gradient goes to the pixels that it was made of, by the same factors. */
export function blurPoolGradient(problem: BlurPoolGradientProblem, inputs: Tensors): Float64Array {
  const { batch, height, width, channels, pitch, stride } = problem;
  const dy = tensorNamed(inputs, 'dy');
  const outHeight = Math.ceil(height / stride);
  const outWidth = Math.ceil(width / stride);
  const dx = new Float64Array(batch * height * width * pitch);
  for (let pixel = 0; pixel < batch * outHeight * outWidth; pixel++) {
    const n = Math.floor(pixel / (outHeight * outWidth));
    const oy = Math.floor(pixel / outWidth) % outHeight;
    const ox = pixel % outWidth;
    for (let tap = 0; tap < 9; tap++) {
      const [ky, kx] = [Math.floor(tap / 3) - 1, (tap % 3) - 1];
      const row = n * height + reflect(oy * stride + ky, height);
      const column = reflect(ox * stride + kx, width);
      const target = (row * width + column) * pitch;
      const factor = ((2 - Math.abs(ky)) * (2 - Math.abs(kx))) / 16;
      for (let c = 0; c < channels; c++) {
        dx[target + c] = at(dx, target + c) + factor * at(dy, pixel * pitch + c);
      }
    }
  }
  return dx;
}

export const blurPoolGradientDefinition: OpDefinition<BlurPoolGradientOp> = {
  shape({ type, height, width, stride }, inputs) {
    const dy = onlyInput(type, inputs);
    const [batch, , , channels] = dy;
    const expected = [batch, Math.ceil(height / stride), Math.ceil(width / stride), channels] as const;
    expectShape(type, 'output gradient', dy, expected);
    return [batch, height, width, channels];
  },
  lower: ({ type, stride }, { output: [batch, height, width, channels], pitch }) => ({
    problem: { op: type, batch, height, width, channels, pitch: pitch(channels), stride },
    inputs: ['dy'],
  }),
};
