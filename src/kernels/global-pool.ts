import { KernelBuilder } from '../codegen/builder.ts';
import type { DeviceCaps } from '../core/caps.ts';
import { kernelName } from './family.ts';
import type { Emission, KernelFamily } from './family.ts';
import type { GlobalPoolProblem } from './problem.ts';
import { estimateTraffic, fillSpan, loadSpan, spanFloats, spanFor } from './spans.ts';
import type { Span } from './spans.ts';

/** `spans`: neighbouring spans of channels that one task sums. */
export type GlobalPoolConfig = Span & { readonly spans: number };

/** Pixels summed apart from each other: hides the latency of additions, and shortens the chain of roundings. */
const TOTALS = 4;

/** Mean over all pixels; a task is one block of channels of one image, so that a single image keeps all threads busy. */
export const globalPool: KernelFamily<GlobalPoolProblem, GlobalPoolConfig> = {
  name: 'global-pool',
  op: 'global-pool',

  configs({ pitch }: GlobalPoolProblem, caps: DeviceCaps): readonly GlobalPoolConfig[] {
    const span = spanFor(caps, pitch);
    const available = pitch / spanFloats(span);
    return [1, 2, 4].filter((spans) => available % spans === 0).map((spans) => ({ ...span, spans }));
  },

  estimate({ batch, pixels, pitch }: GlobalPoolProblem, config: GlobalPoolConfig, caps: DeviceCaps): number {
    const floats = batch * pixels * pitch;
    const tasks = (batch * pitch) / (config.spans * spanFloats(config));
    // A cache line is 16 floats and comes with its neighbour: narrow blocks use a part of what is fetched.
    const wasted = Math.max(1, 16 / (config.spans * spanFloats(config)));
    return estimateTraffic(config, caps, {
      loads: floats * wasted,
      stores: batch * pitch,
      operations: floats,
      tasks,
    });
  },

  emit({ batch, pixels, channels, pitch }: GlobalPoolProblem, config: GlobalPoolConfig): Emission {
    const step = spanFloats(config);
    const blocks = pitch / (config.spans * step);
    const b = new KernelBuilder({
      name: kernelName('global_pool', `${batch}x${pixels}x${channels}`, pitch, config.spans),
      description: `mean over ${pixels} pixels of ${channels} channels`,
      lanes: config.lanes,
      tasks: batch * blocks,
    });
    const x = b.input('x');
    const y = b.output('y');
    const image = b.div(b.task, blocks);
    const channel = b.mul(b.rem(b.task, blocks), config.spans * step);
    const first = b.add(b.mul(image, pixels * pitch), channel);
    const totals = Array.from({ length: TOTALS }, () =>
      Array.from({ length: config.spans }, () => b.variable(fillSpan(b, config, 0), 'total')),
    );
    const addPixels = (index: ReturnType<typeof b.add>, count: number): void => {
      totals.slice(0, count).forEach((spans, pixel) => {
        spans.forEach((total, i) => {
          total.set(b.add(total.get(), loadSpan(b, config, x, index, pixel * pitch + i * step)));
        });
      });
    };
    const whole = Math.floor(pixels / TOTALS) * TOTALS;
    b.for(0, whole, TOTALS, (pixel) => addPixels(b.add(first, b.mul(pixel, pitch)), TOTALS));
    addPixels(b.add(first, whole * pitch), pixels - whole);
    const out = b.add(b.mul(image, pitch), channel);
    for (let i = 0; i < config.spans; i++) {
      const sum = totals
        .flatMap((spans) => spans.slice(i, i + 1).map((total) => total.get()))
        .reduce((a, c) => b.add(a, c));
      b.store(y, out, b.div(sum, pixels), i * step);
    }
    return { main: [b.build()], prepare: [], packedFloats: 0, tempFloats: 0 };
  },
};
