import { KernelBuilder } from '../../codegen/builder.ts';
import type { DeviceCaps } from '../../core/caps.ts';
import { kernelName } from '../family.ts';
import type { Emission, KernelFamily } from '../family.ts';
import { estimateTraffic, forSpanBlocks, forTaskRows, loadSpan, rowsPerTask, spanFor } from '../spans.ts';
import type { Span } from '../spans.ts';
import type { PixelBroadcastProblem } from './problems.ts';

/** One row a image, times a factor, to all of its pixels; a task is some pixels of one image. */
export const pixelBroadcast: KernelFamily<PixelBroadcastProblem, Span> = {
  name: 'pixel-broadcast',
  op: 'pixel-broadcast',
  configs: (problem: PixelBroadcastProblem, caps: DeviceCaps) => [spanFor(caps, problem.pitch)],
  estimate({ batch, pixels, pitch }: PixelBroadcastProblem, span: Span, caps: DeviceCaps): number {
    const floats = batch * pixels * pitch;
    const tasks = batch * Math.ceil(pixels / rowsPerTask(pixels, pitch));
    return estimateTraffic(span, caps, { loads: batch * pitch, stores: floats, operations: 0, tasks });
  },
  emit({ batch, pixels, channels, pitch, factor }: PixelBroadcastProblem, span: Span): Emission {
    const perTask = rowsPerTask(pixels, pitch);
    const tasksPerImage = Math.ceil(pixels / perTask);
    const b = new KernelBuilder({
      name: kernelName('pixel_broadcast', `${batch}x${pixels}x${channels}`, pitch),
      description: `${factor} times a row of ${channels} channels, for all ${pixels} pixels of ${batch} images`,
      lanes: span.lanes,
      tasks: batch * tasksPerImage,
    });
    const x = b.input('x');
    const y = b.output('y');
    const image = b.div(b.task, tasksPerImage);
    forSpanBlocks(b, span, pitch, 4, (c, offsets) => {
      const from = b.add(b.mul(image, pitch), c);
      const values = offsets.map((offset) => b.mul(loadSpan(b, span, x, from, offset), factor));
      forTaskRows(b, b.rem(b.task, tasksPerImage), pixels, perTask, (pixel) => {
        const index = b.add(b.mul(b.add(b.mul(image, pixels), pixel), pitch), c);
        values.forEach((value, i) => b.store(y, index, value, offsets[i] ?? 0));
      });
    });
    return { main: [b.build()], prepare: [], packedFloats: 0, tempFloats: 0 };
  },
};
