import type { DeviceCaps } from '../../core/caps.ts';
import type { Emission, KernelFamily } from '../family.ts';
import { between } from '../resize.ts';
import { emitScatter, estimateScatter } from './scatter.ts';
import type { Scatter } from './scatter.ts';
import { fillSpan, spanFor } from '../spans.ts';
import type { Span } from '../spans.ts';
import type { ResizeGradientProblem } from './problems.ts';

/** Gives each output's gradient to the four pixels that it was mixed of. */
export const resizeGradient: KernelFamily<ResizeGradientProblem, Span> = {
  name: 'resize-gradient',
  op: 'resize-gradient',
  configs: (problem: ResizeGradientProblem, caps: DeviceCaps) => [spanFor(caps, problem.pitch)],
  estimate: (problem: ResizeGradientProblem, span: Span, caps: DeviceCaps) =>
    estimateScatter(scatterOf(problem), 4, span, caps),
  emit(problem: ResizeGradientProblem, span: Span): Emission {
    const { height, width, outHeight, outWidth, alignCorners } = problem;
    const main = emitScatter(scatterOf(problem), span, (b) => ({ oy, ox, slope, at, add }) => {
      const rows = between(b, oy, height, outHeight, alignCorners);
      const columns = between(b, ox, width, outWidth, alignCorners);
      const down = b.mul(slope, fillSpan(b, span, rows.fraction));
      const fraction = fillSpan(b, span, columns.fraction);
      for (const [row, part] of [
        [rows.low, b.sub(slope, down)],
        [rows.high, down],
      ] as const) {
        const right = b.mul(part, fraction);
        add(at(row, columns.low), b.sub(part, right));
        add(at(row, columns.high), right);
      }
    });
    return { main: [main], prepare: [], packedFloats: 0, tempFloats: 0 };
  },
};

function scatterOf(problem: ResizeGradientProblem): Scatter {
  const { batch, height, width, outHeight, outWidth, channels, pitch, alignCorners } = problem;
  return {
    ...{ batch, height, width, outHeight, outWidth, channels, pitch },
    name: alignCorners ? 'resize_gradient_aligned' : 'resize_gradient',
    description: `gradient of a bilinear resize of ${height}×${width} to ${outHeight}×${outWidth}`,
  };
}
