import { KernelBuilder } from '../codegen/builder.ts';
import type { Value } from '../codegen/ir.ts';
import type { DeviceCaps } from '../core/caps.ts';
import { gcd } from './divide.ts';
import { kernelName } from './family.ts';
import type { Emission, KernelFamily } from './family.ts';
import type { ResizeProblem } from './problem.ts';
import { estimateTraffic, fillSpan, forSpans, loadSpan, spanFor } from './spans.ts';
import type { Span } from './spans.ts';

export type ResizeConfig = Span;

/** Bilinear resize; a task is one row of the output. */
export const resize: KernelFamily<ResizeProblem, ResizeConfig> = {
  name: 'resize',
  op: 'resize',

  configs: (problem: ResizeProblem, caps: DeviceCaps): readonly ResizeConfig[] => [
    spanFor(caps, problem.pitch),
  ],

  estimate(
    { batch, outHeight, outWidth, pitch }: ResizeProblem,
    config: ResizeConfig,
    caps: DeviceCaps,
  ): number {
    const floats = batch * outHeight * outWidth * pitch;
    const tasks = batch * outHeight;
    return estimateTraffic(config, caps, {
      loads: 4 * floats,
      stores: floats,
      operations: 6 * floats,
      tasks,
    });
  },

  emit(problem: ResizeProblem, config: ResizeConfig): Emission {
    const { batch, height, width, outHeight, outWidth, channels, pitch, alignCorners } = problem;
    const b = new KernelBuilder({
      name: kernelName(
        'resize',
        `${batch}x${height}x${width}x${channels}`,
        pitch,
        `${outHeight}x${outWidth}`,
        alignCorners ? 'aligned' : '',
      ),
      description: `bilinear resize of ${batch}×${height}×${width}×${channels} to ${outHeight}×${outWidth}`,
      lanes: config.lanes,
      tasks: batch * outHeight,
    });
    const x = b.input('x');
    const y = b.output('y');
    const firstRow = b.mul(b.div(b.task, outHeight), height);
    const rows = between(b, b.rem(b.task, outHeight), height, outHeight, alignCorners);
    const rowFraction = fillSpan(b, config, rows.fraction);
    const top = b.mul(b.add(firstRow, rows.low), width);
    const bottom = b.mul(b.add(firstRow, rows.high), width);
    b.for(0, outWidth, 1, (ox) => {
      const columns = between(b, ox, width, outWidth, alignCorners);
      const fraction = fillSpan(b, config, columns.fraction);
      const corners = [top, bottom].map((row) =>
        [columns.low, columns.high].map((column) => b.mul(b.add(row, column), pitch)),
      );
      const output = b.mul(b.add(b.mul(b.task, outWidth), ox), pitch);
      forSpans(b, config, pitch, 1, (c, offset) => {
        const sides = corners.map((row) =>
          mix(
            b,
            row.map((pixel) => loadSpan(b, config, x, b.add(pixel, c), offset)),
            fraction,
          ),
        );
        b.store(y, b.add(output, c), mix(b, sides, rowFraction), offset);
      });
    });
    return { main: [b.build()], prepare: [], packedFloats: 0, tempFloats: 0 };
  },
};

/** The source positions on both sides of an output position, and how far it is from the lower to the higher. */
export interface Between {
  readonly low: Value;
  readonly high: Value;
  readonly fraction: Value;
}

/**
 * The source coordinate is the fraction (2i + 1) · size − outSize over 2 · outSize, or i · (size − 1) over
 * outSize − 1 with aligned corners: whole numbers, so that its integer part is exact and its rest is rounded once. They
 * are reduced, so that they fit an i32 as long as {@link largestNumerator} does.
 */
export function between(
  b: KernelBuilder,
  i: Value,
  size: number,
  outSize: number,
  alignCorners: boolean,
): Between {
  const [from, to] = reducedSizes(size, outSize, alignCorners);
  const denominator = alignCorners ? to : 2 * to;
  const numerator = alignCorners ? b.mul(i, from) : b.max(b.sub(b.mul(b.add(b.mul(i, 2), 1), from), to), 0);
  const low = b.div(numerator, denominator);
  const rest = b.sub(numerator, b.mul(low, denominator));
  return { low, high: b.min(b.add(low, 1), size - 1), fraction: b.div(b.toF32(rest), denominator) };
}

/** What an axis grows by, in lowest terms. */
function reducedSizes(size: number, outSize: number, alignCorners: boolean): readonly [number, number] {
  const [from, to] = alignCorners ? [size - 1, Math.max(outSize - 1, 1)] : [size, outSize];
  const common = gcd(from, to);
  return [from / common, to / common];
}

/** The largest numerator on the way to a source coordinate. */
export function largestNumerator(size: number, outSize: number, alignCorners: boolean): number {
  const [from] = reducedSizes(size, outSize, alignCorners);
  return (alignCorners ? outSize - 1 : 2 * outSize - 1) * from;
}

/** a + (b − a) · fraction. */
function mix(b: KernelBuilder, values: readonly Value[], fraction: Value): Value {
  const [low, high] = values;
  if (!low || !high) throw new Error('Mixing takes two values.');
  return b.fma(b.sub(high, low), fraction, low);
}
