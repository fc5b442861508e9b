import { KernelBuilder } from '../codegen/builder.ts';
import type { Buffer, Value } from '../codegen/ir.ts';
import type { DeviceCaps } from '../core/caps.ts';
import { kernelName } from './family.ts';
import type { Emission, KernelFamily } from './family.ts';
import { outputMap } from './problem.ts';
import type { PoolProblem } from './problem.ts';
import { estimateTraffic, fillSpan, forSpans, loadSpan, spanFor } from './spans.ts';
import type { Span } from './spans.ts';

/** `unrolled`: windows that lie wholly on the map take straight-line code. */
export type PoolConfig = Span & { readonly unrolled: boolean };

/** Maximum or average over windows; a task is one row of the output. */
export const pool: KernelFamily<PoolProblem, PoolConfig> = {
  name: 'pool',
  op: 'pool',

  configs(problem: PoolProblem, caps: DeviceCaps): readonly PoolConfig[] {
    const span = spanFor(caps, problem.pitch);
    const unrolled = problem.kernelHeight * problem.kernelWidth <= 25;
    return (unrolled ? [true, false] : [false]).map((choice) => ({ ...span, unrolled: choice }));
  },

  estimate(problem: PoolProblem, config: PoolConfig, caps: DeviceCaps): number {
    const out = outputMap(problem);
    const floats = problem.batch * out.height * out.width * problem.pitch;
    const taps = problem.kernelHeight * problem.kernelWidth;
    return estimateTraffic(config, caps, {
      loads: floats * taps,
      stores: floats,
      operations: floats * taps * (config.unrolled ? 1 : 3),
      tasks: problem.batch * out.height,
    });
  },

  emit(problem: PoolProblem, config: PoolConfig): Emission {
    const { batch, height, width, channels, pitch, kernelHeight, kernelWidth, stride, kind } = problem;
    const out = outputMap(problem);
    const b = new KernelBuilder({
      name: kernelName(
        kind,
        'pool',
        `${batch}x${height}x${width}x${channels}`,
        `k${kernelHeight}x${kernelWidth}s${stride}`,
      ),
      description: `${kind} pool, windows ${kernelHeight}×${kernelWidth}, stride ${stride}, of ${batch}×${height}×${width}×${channels}`,
      lanes: config.lanes,
      tasks: batch * out.height,
    });
    const x = b.input('x');
    const y = b.output('y');
    const oy = b.rem(b.task, out.height);
    const image = b.div(b.task, out.height);
    const rows = tapRange(b, oy, height, kernelHeight, problem.padding.top, problem);
    b.for(0, out.width, 1, (ox) => {
      const columns = tapRange(b, ox, width, kernelWidth, problem.padding.left, problem);
      // The pixel under tap (0, 0), which may lie outside of the map.
      const top = b.add(b.mul(image, height), b.sub(b.mul(oy, stride), problem.padding.top));
      const left = b.sub(b.mul(ox, stride), problem.padding.left);
      const origin = b.mul(b.add(b.mul(top, width), left), pitch);
      const output = b.mul(b.add(b.mul(b.task, out.width), ox), pitch);
      const clipped = (): void => emitClipped(b, problem, config, x, y, { rows, columns, origin, output });
      if (!config.unrolled) clipped();
      else
        b.if(
          b.and(rows.isWhole, columns.isWhole),
          () => emitWhole(b, problem, config, x, y, origin, output),
          clipped,
        );
    });
    return { main: [b.build()], prepare: [], packedFloats: 0, tempFloats: 0 };
  },
};

/** The taps of a window that lie on the map, along one axis. */
export interface TapRange {
  readonly first: Value;
  readonly end: Value;
  readonly isWhole: Value;
}

export function tapRange(
  b: KernelBuilder,
  position: Value,
  size: number,
  kernel: number,
  before: number,
  { stride, dilation }: Pick<PoolProblem, 'stride' | 'dilation'>,
): TapRange {
  const start = b.sub(b.mul(position, stride), before);
  // first: the smallest tap with start + tap · dilation ≥ 0; end: one past the largest below `size`.
  const first = b.div(b.max(b.sub(dilation - 1, start), 0), dilation);
  const end = b.min(b.div(b.max(b.sub(size - 1 + dilation, start), 0), dilation), kernel);
  const isWhole = b.and(b.le(0, start), b.le(b.add(start, (kernel - 1) * dilation), size - 1));
  return { first, end, isWhole };
}

/** A window without padding: all taps, one after the other. */
function emitWhole(
  b: KernelBuilder,
  problem: PoolProblem,
  config: PoolConfig,
  x: Buffer,
  y: Buffer,
  origin: Value,
  output: Value,
): void {
  const { width, pitch, kernelHeight, kernelWidth, dilation, kind } = problem;
  const taps = Array.from({ length: kernelHeight * kernelWidth }, (_, tap) => {
    const pixel = Math.floor(tap / kernelWidth) * dilation * width + (tap % kernelWidth) * dilation;
    return pixel * pitch;
  });
  forSpans(b, config, pitch, 1, (c, offset) => {
    const index = b.add(origin, c);
    const values = taps.map((tap) => loadSpan(b, config, x, index, tap + offset));
    const result = values.reduce((a, value) => combine(b, kind, a, value));
    const mean = (): Value => b.div(result, kernelHeight * kernelWidth);
    b.store(y, b.add(output, c), kind === 'max' ? result : mean(), offset);
  });
}

/** A window that padding clips. */
function emitClipped(
  b: KernelBuilder,
  problem: PoolProblem,
  config: PoolConfig,
  x: Buffer,
  y: Buffer,
  at: { readonly rows: TapRange; readonly columns: TapRange; readonly origin: Value; readonly output: Value },
): void {
  const { width, pitch, kernelHeight, kernelWidth, dilation, kind, countPadding } = problem;
  const { rows, columns, origin, output } = at;
  const inside = b.mul(b.max(b.sub(rows.end, rows.first), 0), b.max(b.sub(columns.end, columns.first), 0));
  const counted = countPadding ? b.f32(kernelHeight * kernelWidth) : b.toF32(b.max(inside, 1));
  forSpans(b, config, pitch, 1, (c, offset) => {
    const total = b.variable(fillSpan(b, config, kind === 'max' ? -Infinity : 0), 'total');
    b.for(rows.first, rows.end, 1, (ky) => {
      b.for(columns.first, columns.end, 1, (kx) => {
        const pixel = b.mul(b.add(b.mul(ky, width), kx), dilation * pitch);
        const value = loadSpan(b, config, x, b.add(b.add(origin, pixel), c), offset);
        total.set(combine(b, kind, total.get(), value));
      });
    });
    const result =
      kind === 'max'
        ? b.select(b.eq(inside, 0), fillSpan(b, config, 0), total.get())
        : b.div(total.get(), fillSpan(b, config, counted));
    b.store(y, b.add(output, c), result, offset);
  });
}

function combine(b: KernelBuilder, kind: PoolProblem['kind'], a: Value, value: Value): Value {
  if (kind === 'average') return b.add(a, value);
  // A NaN is the maximum, as in PyTorch: it would be lost between numbers otherwise.
  return b.select(b.ne(value, value), value, b.max(a, value));
}
