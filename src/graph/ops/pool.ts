import { invalidArgument } from '../../core/errors.ts';
import type { OpDefinition, PoolOp } from '../op.ts';
import { onlyInput } from './shape-rules.ts';
import { outputMap } from '../../kernels/problem.ts';
import type { PoolProblem } from '../../kernels/problem.ts';
import { at, tensorNamed } from '../tensors.ts';
import type { Tensors } from '../tensors.ts';
import { forEachTap } from './window.ts';

/**
 * Maximum or average of the taps of each window that lie on the map. With `countPadding` the average
 * divides by the whole window. A window that lies wholly on padding gives 0.
 */
export function pool(problem: PoolProblem, inputs: Tensors): Float64Array {
  const { kind, batch, channels, pitch, kernelHeight, kernelWidth, countPadding } = problem;
  const x = tensorNamed(inputs, 'x');
  const out = outputMap(problem);
  const pixels = batch * out.height * out.width;
  const y = new Float64Array(pixels * pitch);
  const counts = new Float64Array(pixels);
  forEachTap(problem, (outputPixel, inputPixel) => {
    const isFirst = at(counts, outputPixel) === 0;
    counts[outputPixel] = at(counts, outputPixel) + 1;
    for (let c = 0; c < channels; c++) {
      const value = at(x, inputPixel * pitch + c);
      const before = at(y, outputPixel * pitch + c);
      const larger = isFirst ? value : Math.max(before, value);
      y[outputPixel * pitch + c] = kind === 'max' ? larger : before + value;
    }
  });
  if (kind === 'average') {
    for (let i = 0; i < y.length; i++) {
      const count = Math.max(at(counts, Math.floor(i / pitch)), 1);
      y[i] = at(y, i) / (countPadding ? kernelHeight * kernelWidth : count);
    }
  }
  return y;
}

export const poolDefinition: OpDefinition<PoolOp> = {
  shape(op, inputs) {
    const [batch, height, width, channels] = onlyInput('pool', inputs);
    const out = outputMap({ ...op, batch, height, width });
    if (out.height < 1 || out.width < 1) {
      throw invalidArgument(
        `This ${op.kernelHeight}×${op.kernelWidth} pool has no output on a map of ${height}×${width} pixels: use a larger input.`,
      );
    }
    return [batch, out.height, out.width, channels];
  },
  lower({ type: _, ...window }, { inputs: [input], output, pitch }) {
    const [batch, height, width, channels] = input ?? output;
    return {
      problem: { op: 'pool', ...window, batch, height, width, channels, pitch: pitch(channels) },
      inputs: ['x'],
    };
  },
};
