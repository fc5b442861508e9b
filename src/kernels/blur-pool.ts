import { KernelBuilder } from '../codegen/builder.ts';
import type { Value } from '../codegen/ir.ts';
import type { DeviceCaps } from '../core/caps.ts';
import { kernelName } from './family.ts';
import type { Emission, KernelFamily } from './family.ts';
import type { BlurPoolProblem } from './problem.ts';
import { estimateTraffic, forSpans, loadSpan, spanFor } from './spans.ts';
import type { Span } from './spans.ts';

export type BlurPoolConfig = Span;

/** The [1 2 1]/4 filter both ways at every `stride`-th pixel, with reflected borders; a task is one row of the output. */
export const blurPool: KernelFamily<BlurPoolProblem, BlurPoolConfig> = {
  name: 'blur-pool',
  op: 'blur-pool',

  configs: (problem: BlurPoolProblem, caps: DeviceCaps): readonly BlurPoolConfig[] => [
    spanFor(caps, problem.pitch),
  ],

  estimate(
    { batch, height, width, pitch, stride }: BlurPoolProblem,
    config: BlurPoolConfig,
    caps: DeviceCaps,
  ): number {
    const tasks = batch * Math.ceil(height / stride);
    const floats = tasks * Math.ceil(width / stride) * pitch;
    return estimateTraffic(config, caps, {
      loads: 9 * floats,
      stores: floats,
      operations: 9 * floats,
      tasks,
    });
  },

  emit({ batch, height, width, channels, pitch, stride }: BlurPoolProblem, config: BlurPoolConfig): Emission {
    const outHeight = Math.ceil(height / stride);
    const outWidth = Math.ceil(width / stride);
    const b = new KernelBuilder({
      name: kernelName('blur_pool', `${batch}x${height}x${width}x${channels}`, pitch, `s${stride}`),
      description: `blur pool, stride ${stride}, of ${batch}×${height}×${width}×${channels}`,
      lanes: config.lanes,
      tasks: batch * outHeight,
    });
    const x = b.input('x');
    const y = b.output('y');
    const image = b.div(b.task, outHeight);
    const rows = neighbours(b, b.mul(b.rem(b.task, outHeight), stride), height).map((row) =>
      b.mul(b.add(b.mul(image, height), row), width),
    );
    b.for(0, outWidth, 1, (ox) => {
      const columns = neighbours(b, b.mul(ox, stride), width);
      const pixels = rows.map((row) => columns.map((column) => b.mul(b.add(row, column), pitch)));
      const output = b.mul(b.add(b.mul(b.task, outWidth), ox), pitch);
      forSpans(b, config, pitch, 1, (c, offset) => {
        const filtered = pixels.map((row) =>
          filter(
            b,
            row.map((pixel) => loadSpan(b, config, x, b.add(pixel, c), offset)),
          ),
        );
        b.store(y, b.add(output, c), b.mul(filter(b, filtered), 1 / 16), offset);
      });
    });
    return { main: [b.build()], prepare: [], packedFloats: 0, tempFloats: 0 };
  },
};

/** The positions before, at and after `centre` that a blur reads; −1 is reflected to 1, `size` to size − 2; a single pixel is its own neighbour. */
export function neighbours(b: KernelBuilder, centre: Value, size: number): Value[] {
  if (size === 1) return [centre, centre, centre];
  const before = b.sub(centre, 1);
  const after = b.add(centre, 1);
  return [
    b.select(b.lt(before, 0), b.i32(1), before),
    centre,
    b.select(b.lt(after, size), after, b.i32(size - 2)),
  ];
}

/** before + 2 · centre + after. */
export function filter(b: KernelBuilder, values: readonly Value[]): Value {
  const [before, centre, after] = values;
  if (!before || !centre || !after) throw new Error('A filter takes three values.');
  return b.fma(centre, 2, b.add(before, after));
}
