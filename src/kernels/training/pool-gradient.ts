import type { KernelBuilder } from '../../codegen/builder.ts';
import type { Value } from '../../codegen/ir.ts';
import type { DeviceCaps } from '../../core/caps.ts';
import type { Emission, KernelFamily } from '../family.ts';
import { tapRange } from '../pool.ts';
import type { TapRange } from '../pool.ts';
import { outputMap } from '../problem.ts';
import { emitScatter, estimateScatter } from './scatter.ts';
import type { Scatter, ScatterPixel } from './scatter.ts';
import { fillSpan, loadSpan, spanFor } from '../spans.ts';
import type { Span } from '../spans.ts';
import type { PoolGradientProblem } from './problems.ts';

/** Gives each output's gradient to the largest pixel of its window, or to all of them alike. */
export const poolGradient: KernelFamily<PoolGradientProblem, Span> = {
  name: 'pool-gradient',
  op: 'pool-gradient',
  configs: (problem: PoolGradientProblem, caps: DeviceCaps) => [spanFor(caps, problem.pitch)],
  estimate: (problem: PoolGradientProblem, span: Span, caps: DeviceCaps) =>
    estimateScatter(scatterOf(problem), 2 * problem.kernelHeight * problem.kernelWidth, span, caps),
  emit(problem: PoolGradientProblem, span: Span): Emission {
    const { kind, height, width, kernelHeight, kernelWidth, padding } = problem;
    const main = emitScatter(scatterOf(problem), span, (b) => {
      const x = kind === 'max' ? b.input('x') : undefined;
      return (pixel) => {
        const taps: Taps = {
          rows: tapRange(b, pixel.oy, height, kernelHeight, padding.top, problem),
          columns: tapRange(b, pixel.ox, width, kernelWidth, padding.left, problem),
          at: (ky, kx) =>
            pixel.at(
              positionOf(b, pixel.oy, ky, padding.top, problem),
              positionOf(b, pixel.ox, kx, padding.left, problem),
            ),
        };
        if (x === undefined) addAverage(b, problem, span, pixel, taps);
        else addMaximum(b, problem, span, (at) => loadSpan(b, span, x, at), pixel, taps);
      };
    });
    return { main: [main], prepare: [], packedFloats: 0, tempFloats: 0 };
  },
};

function scatterOf(problem: PoolGradientProblem): Scatter {
  const { kind, batch, height, width, channels, pitch, kernelHeight, kernelWidth, stride } = problem;
  const out = outputMap(problem);
  return {
    ...{ batch, height, width, channels, pitch },
    outHeight: out.height,
    outWidth: out.width,
    name: `${kind}_pool_gradient_k${kernelHeight}x${kernelWidth}s${stride}`,
    description: `gradient of a ${kind} pool, windows ${kernelHeight}×${kernelWidth}, stride ${stride}`,
  };
}

/** The taps of one window that lie on the map, and where. */
interface Taps {
  readonly rows: TapRange;
  readonly columns: TapRange;
  readonly at: (ky: Value, kx: Value) => Value;
}

function positionOf(
  b: KernelBuilder,
  output: Value,
  tap: Value,
  before: number,
  { stride, dilation }: PoolGradientProblem,
): Value {
  return b.add(b.sub(b.mul(output, stride), before), b.mul(tap, dilation));
}

function forTaps(
  b: KernelBuilder,
  { rows, columns, at }: Taps,
  body: (at: Value, tap: Value) => void,
  width: number,
): void {
  b.for(rows.first, rows.end, 1, (ky) => {
    b.for(columns.first, columns.end, 1, (kx) => body(at(ky, kx), b.add(b.mul(ky, width), kx)));
  });
}

function addAverage(
  b: KernelBuilder,
  { kernelHeight, kernelWidth, countPadding }: PoolGradientProblem,
  span: Span,
  pixel: ScatterPixel,
  taps: Taps,
): void {
  const { rows, columns } = taps;
  const inside = b.mul(b.sub(rows.end, rows.first), b.sub(columns.end, columns.first));
  const counted = countPadding ? b.f32(kernelHeight * kernelWidth) : b.toF32(b.max(inside, 1));
  const share = b.div(pixel.slope, fillSpan(b, span, counted));
  forTaps(b, taps, (at) => pixel.add(at, share), kernelWidth);
}

/**
 * Two passes: which tap has the first maximum (the last NaN, as in PyTorch), a number a lane; then that tap gets the
 * gradient.
 */
function addMaximum(
  b: KernelBuilder,
  { kernelWidth }: PoolGradientProblem,
  span: Span,
  load: (at: Value) => Value,
  pixel: ScatterPixel,
  taps: Taps,
): void {
  const best = b.variable(fillSpan(b, span, -Infinity), 'best');
  // Where nothing is larger than −∞, the first tap on the map.
  const first = b.add(b.mul(taps.rows.first, kernelWidth), taps.columns.first);
  const winner = b.variable(fillSpan(b, span, b.toF32(first)), 'winner');
  forTaps(
    b,
    taps,
    (at, tap) => {
      const value = load(at);
      // A NaN is the maximum.
      const wins = b.or(b.ne(value, value), b.lt(best.get(), value));
      const number = fillSpan(b, span, b.toF32(tap));
      winner.set(b.select(wins, number, winner.get()));
      best.set(b.select(wins, value, best.get()));
    },
    kernelWidth,
  );
  forTaps(
    b,
    taps,
    (at, tap) => {
      const isWinner = b.eq(winner.get(), fillSpan(b, span, b.toF32(tap)));
      pixel.add(at, b.select(isWinner, pixel.slope, fillSpan(b, span, 0)));
    },
    kernelWidth,
  );
}
