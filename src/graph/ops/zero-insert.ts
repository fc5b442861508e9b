import type { ZeroInsertProblem } from '../../kernels/training/problems.ts';
import type { OpDefinition } from '../op.ts';
import type { ZeroInsertOp } from '../training-ops.ts';
import { at, tensorNamed } from '../tensors.ts';
import type { Tensors } from '../tensors.ts';
import { onlyInput } from './shape-rules.ts';

/** y[n, stride·i, stride·j, c] = x[n, i, j, c], zeros between. */
export function zeroInsert(problem: ZeroInsertProblem, inputs: Tensors): Float64Array {
  const { batch, height, width, channels, pitch, stride } = problem;
  const x = tensorNamed(inputs, 'x');
  const outHeight = (height - 1) * stride + 1;
  const outWidth = (width - 1) * stride + 1;
  const y = new Float64Array(batch * outHeight * outWidth * pitch);
  for (let pixel = 0; pixel < batch * height * width; pixel++) {
    const n = Math.floor(pixel / (height * width));
    const row = (Math.floor(pixel / width) % height) * stride;
    const target = (n * outHeight + row) * outWidth + (pixel % width) * stride;
    for (let c = 0; c < channels; c++) y[target * pitch + c] = at(x, pixel * pitch + c);
  }
  return y;
}

export const zeroInsertDefinition: OpDefinition<ZeroInsertOp> = {
  shape({ type, stride }, inputs) {
    const [batch, height, width, channels] = onlyInput(type, inputs);
    return [batch, (height - 1) * stride + 1, (width - 1) * stride + 1, channels];
  },
  lower({ type, stride }, { inputs: [input], output, pitch }) {
    const [batch, height, width, channels] = input ?? output;
    return {
      problem: { op: type, batch, height, width, channels, pitch: pitch(channels), stride },
      inputs: ['x'],
    };
  },
};
