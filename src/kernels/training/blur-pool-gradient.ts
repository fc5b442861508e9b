import type { DeviceCaps } from '../../core/caps.ts';
import { neighbours } from '../blur-pool.ts';
import type { Emission, KernelFamily } from '../family.ts';
import { emitScatter, estimateScatter } from './scatter.ts';
import type { Scatter } from './scatter.ts';
import { spanFor } from '../spans.ts';
import type { Span } from '../spans.ts';
import type { BlurPoolGradientProblem } from './problems.ts';

/** Gives each output's gradient to the nine pixels of its filter. */
export const blurPoolGradient: KernelFamily<BlurPoolGradientProblem, Span> = {
  name: 'blur-pool-gradient',
  op: 'blur-pool-gradient',
  configs: (problem: BlurPoolGradientProblem, caps: DeviceCaps) => [spanFor(caps, problem.pitch)],
  estimate: (problem: BlurPoolGradientProblem, span: Span, caps: DeviceCaps) =>
    estimateScatter(scatterOf(problem), 9, span, caps),
  emit(problem: BlurPoolGradientProblem, span: Span): Emission {
    const { height, width, stride } = problem;
    const main = emitScatter(scatterOf(problem), span, (b) => ({ oy, ox, slope, at, add }) => {
      const columns = neighbours(b, b.mul(ox, stride), width);
      neighbours(b, b.mul(oy, stride), height).forEach((row, i) => {
        columns.forEach((column, j) => {
          const factor = ((2 - Math.abs(i - 1)) * (2 - Math.abs(j - 1))) / 16;
          add(at(row, column), b.mul(slope, factor));
        });
      });
    });
    return { main: [main], prepare: [], packedFloats: 0, tempFloats: 0 };
  },
};

function scatterOf({ batch, height, width, channels, pitch, stride }: BlurPoolGradientProblem): Scatter {
  return {
    ...{ batch, height, width, channels, pitch },
    outHeight: Math.ceil(height / stride),
    outWidth: Math.ceil(width / stride),
    name: `blur_pool_gradient_s${stride}`,
    description: `gradient of a blur pool, stride ${stride}`,
  };
}
