import type { GlobalPoolOp, OpDefinition } from '../op.ts';
import { onlyInput } from './shape-rules.ts';
import type { GlobalPoolProblem } from '../../kernels/problem.ts';
import { at, tensorNamed } from '../tensors.ts';
import type { Tensors } from '../tensors.ts';

/** y[n, c] = mean over all pixels p of x[n, p, c]. */
export function globalPool(problem: GlobalPoolProblem, inputs: Tensors): Float64Array {
  const { batch, pixels, channels, pitch } = problem;
  const x = tensorNamed(inputs, 'x');
  const y = new Float64Array(batch * pitch);
  for (let n = 0; n < batch; n++) {
    for (let c = 0; c < channels; c++) {
      let sum = 0;
      for (let p = 0; p < pixels; p++) sum += at(x, (n * pixels + p) * pitch + c);
      y[n * pitch + c] = sum / pixels;
    }
  }
  return y;
}

export const globalPoolDefinition: OpDefinition<GlobalPoolOp> = {
  shape(_, inputs) {
    const [batch, , , channels] = onlyInput('global-pool', inputs);
    return [batch, 1, 1, channels];
  },
  lower(_, { inputs: [input], output, pitch }) {
    const [batch, height, width, channels] = input ?? output;
    return {
      problem: { op: 'global-pool', batch, pixels: height * width, channels, pitch: pitch(channels) },
      inputs: ['x'],
    };
  },
  gradient(node, dy, g) {
    const [, height, width] = node.inputs[0]?.shape ?? node.shape;
    const factor = 1 / (height * width);
    return { inputs: [g.make({ type: 'pixel-broadcast', height, width, factor }, [dy])], parameters: {} };
  },
};
