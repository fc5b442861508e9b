import type { ChannelScaleProblem } from '../../kernels/problem.ts';
import { at, tensorNamed } from '../tensors.ts';
import type { Tensors } from '../tensors.ts';

/** y[n, p, c] = x[n, p, c] · gate[n, c]. */
export function channelScale(problem: ChannelScaleProblem, inputs: Tensors): Float64Array {
  const { batch, pixels, channels, pitch } = problem;
  const x = tensorNamed(inputs, 'x');
  const gate = tensorNamed(inputs, 'gate');
  const y = new Float64Array(batch * pixels * pitch);
  for (let row = 0; row < batch * pixels; row++) {
    const n = Math.floor(row / pixels);
    for (let c = 0; c < channels; c++) y[row * pitch + c] = at(x, row * pitch + c) * at(gate, n * pitch + c);
  }
  return y;
}
