import { KernelBuilder } from '../../codegen/builder.ts';
import type { DeviceCaps } from '../../core/caps.ts';
import { kernelName } from '../family.ts';
import type { Emission, KernelFamily } from '../family.ts';
import { estimateTraffic, fillSpan, forSpans, loadSpan, spanFor } from '../spans.ts';
import type { Span } from '../spans.ts';
import type { ZeroInsertProblem } from './problems.ts';

/** Puts stride − 1 zeros between the pixels of both axes; a task is one row of the output map. */
export const zeroInsert: KernelFamily<ZeroInsertProblem, Span> = {
  name: 'zero-insert',
  op: 'zero-insert',
  configs: (problem: ZeroInsertProblem, caps: DeviceCaps) => [spanFor(caps, problem.pitch)],
  estimate({ batch, height, width, pitch, stride }: ZeroInsertProblem, span: Span, caps: DeviceCaps): number {
    const tasks = batch * spread(height, stride);
    const loads = batch * height * width * pitch;
    return estimateTraffic(span, caps, {
      loads,
      stores: tasks * spread(width, stride) * pitch,
      operations: 0,
      tasks,
    });
  },
  emit(problem: ZeroInsertProblem, span: Span): Emission {
    const { batch, height, width, channels, pitch, stride } = problem;
    const rows = spread(height, stride);
    const columns = spread(width, stride);
    const b = new KernelBuilder({
      name: kernelName('zero_insert', `${batch}x${height}x${width}x${channels}`, pitch, stride),
      description: `${height}×${width}×${channels} with zeros between pixels, ${stride} apart`,
      lanes: span.lanes,
      tasks: batch * rows,
    });
    const x = b.input('x');
    const y = b.output('y');
    const image = b.div(b.task, rows);
    const row = b.rem(b.task, rows);
    const to = b.mul(b.task, columns * pitch);
    const clear = (at: ReturnType<typeof b.add>): void => {
      forSpans(b, span, pitch, 4, (c, offset) => b.store(y, b.add(at, c), fillSpan(b, span, 0), offset));
    };
    b.if(
      b.eq(b.rem(row, stride), 0),
      () => {
        const from = b.mul(b.add(b.mul(image, height), b.div(row, stride)), width * pitch);
        b.for(0, width, 1, (column) => {
          const source = b.add(from, b.mul(column, pitch));
          const target = b.add(to, b.mul(column, stride * pitch));
          forSpans(b, span, pitch, 4, (c, offset) => {
            b.store(y, b.add(target, c), loadSpan(b, span, x, b.add(source, c), offset), offset);
          });
        });
        b.for(0, width - 1, 1, (column) => {
          for (let gap = 1; gap < stride; gap++)
            clear(b.add(to, b.add(b.mul(column, stride * pitch), gap * pitch)));
        });
      },
      () => b.for(0, columns, 1, (column) => clear(b.add(to, b.mul(column, pitch)))),
    );
    return { main: [b.build()], prepare: [], packedFloats: 0, tempFloats: 0 };
  },
};

function spread(size: number, stride: number): number {
  return (size - 1) * stride + 1;
}
