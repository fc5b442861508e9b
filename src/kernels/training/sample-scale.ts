import { KernelBuilder } from '../../codegen/builder.ts';
import type { DeviceCaps } from '../../core/caps.ts';
import { kernelName } from '../family.ts';
import type { Emission, KernelFamily } from '../family.ts';
import {
  estimateTraffic,
  fillSpan,
  forSpans,
  forTaskRows,
  loadSpan,
  rowsPerTask,
  spanFor,
} from '../spans.ts';
import type { Span } from '../spans.ts';
import type { SampleScaleProblem } from './problems.ts';

/** y = x · scale, the scale one factor an image; a task is some pixels of one image. */
export const sampleScale: KernelFamily<SampleScaleProblem, Span> = {
  name: 'sample-scale',
  op: 'sample-scale',
  configs: (problem: SampleScaleProblem, caps: DeviceCaps) => [spanFor(caps, problem.pitch)],
  estimate({ batch, pixels, pitch }: SampleScaleProblem, span: Span, caps: DeviceCaps): number {
    const floats = batch * pixels * pitch;
    const tasks = batch * Math.ceil(pixels / rowsPerTask(pixels, pitch));
    return estimateTraffic(span, caps, { loads: floats, stores: floats, operations: floats, tasks });
  },
  emit({ batch, pixels, channels, pitch, scalePitch }: SampleScaleProblem, span: Span): Emission {
    const perTask = rowsPerTask(pixels, pitch);
    const tasksPerImage = Math.ceil(pixels / perTask);
    const b = new KernelBuilder({
      name: kernelName('sample_scale', `${batch}x${pixels}x${channels}`, pitch, scalePitch),
      description: `${batch} images of ${pixels} pixels of ${channels} channels, each times a number`,
      lanes: span.lanes,
      tasks: batch * tasksPerImage,
    });
    const x = b.input('x');
    const scale = b.input('scale');
    const y = b.output('y');
    const image = b.div(b.task, tasksPerImage);
    const factor = fillSpan(b, span, b.loadScalar(scale, b.mul(image, scalePitch)));
    forTaskRows(b, b.rem(b.task, tasksPerImage), pixels, perTask, (pixel) => {
      const index = b.mul(b.add(b.mul(image, pixels), pixel), pitch);
      forSpans(b, span, pitch, 4, (c, offset) => {
        const at = b.add(index, c);
        b.store(y, at, b.mul(loadSpan(b, span, x, at, offset), factor), offset);
      });
    });
    return { main: [b.build()], prepare: [], packedFloats: 0, tempFloats: 0 };
  },
};
