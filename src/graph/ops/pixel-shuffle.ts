import { invalidArgument } from '../../core/errors.ts';
import type { PixelShuffleProblem } from '../../kernels/training/problems.ts';
import type { OpDefinition } from '../op.ts';
import type { PixelShuffleOp } from '../training-ops.ts';
import { at, tensorNamed } from '../tensors.ts';
import type { Tensors } from '../tensors.ts';
import { onlyInput } from './shape-rules.ts';

/** y[n, f·i + a, f·j + b, c] = x[n, i, j, c·f² + a·f + b]. */
export function pixelShuffle(problem: PixelShuffleProblem, inputs: Tensors): Float64Array {
  const { batch, height, width, factor, channels, inputPitch, outputPitch } = problem;
  const x = tensorNamed(inputs, 'x');
  const y = new Float64Array(batch * height * width * factor ** 2 * outputPitch);
  for (let pixel = 0; pixel < batch * height * width; pixel++) {
    const [line, column] = [Math.floor(pixel / width), pixel % width];
    for (let part = 0; part < factor ** 2; part++) {
      const row = line * factor + Math.floor(part / factor);
      const target = row * width * factor + column * factor + (part % factor);
      for (let c = 0; c < channels; c++) {
        y[target * outputPitch + c] = at(x, pixel * inputPitch + c * factor ** 2 + part);
      }
    }
  }
  return y;
}

export const pixelShuffleDefinition: OpDefinition<PixelShuffleOp> = {
  shape({ type, factor }, inputs) {
    const [batch, height, width, channels] = onlyInput(type, inputs);
    if (channels % factor ** 2 !== 0) {
      throw invalidArgument(
        `A pixel-shuffle by ${factor} needs a multiple of ${factor ** 2} channels, got ${channels}.`,
      );
    }
    return [batch, height * factor, width * factor, channels / factor ** 2];
  },
  lower({ type, factor }, { inputs: [input], output, pitch }) {
    const [batch, height, width, channels] = input ?? output;
    const own = { batch, height, width, factor, channels: output[3] };
    return {
      problem: { op: type, ...own, inputPitch: pitch(channels), outputPitch: pitch(output[3]) },
      inputs: ['x'],
    };
  },
};
