import { KernelBuilder } from '../../codegen/builder.ts';
import type { DeviceCaps } from '../../core/caps.ts';
import { kernelName } from '../family.ts';
import type { Emission, KernelFamily } from '../family.ts';
import {
  estimateTraffic,
  forSpans,
  forTaskRows,
  rowsPerTask,
  spanFloats,
  spanFor,
  storeZeros,
} from '../spans.ts';
import type { Span } from '../spans.ts';
import type { ChannelSliceProblem } from './problems.ts';

/** Copies a range of the channels of each row; loads need no alignment. */
export const channelSlice: KernelFamily<ChannelSliceProblem, Span> = {
  name: 'channel-slice',
  op: 'channel-slice',
  configs: (problem: ChannelSliceProblem, caps: DeviceCaps) => [spanFor(caps, problem.outputPitch)],
  estimate({ rows, outputPitch }: ChannelSliceProblem, span: Span, caps: DeviceCaps): number {
    const floats = rows * outputPitch;
    const tasks = Math.ceil(rows / rowsPerTask(rows, outputPitch));
    return estimateTraffic(span, caps, { loads: floats, stores: floats, operations: 0, tasks });
  },
  emit({ rows, inputPitch, range, outputPitch }: ChannelSliceProblem, span: Span): Emission {
    const [from, to] = range;
    const perTask = rowsPerTask(rows, outputPitch);
    const b = new KernelBuilder({
      name: kernelName('channel_slice', rows, from, to, inputPitch, outputPitch),
      description: `channels ${from} to ${to} of ${rows} rows`,
      lanes: span.lanes,
      tasks: Math.ceil(rows / perTask),
    });
    const x = b.input('x');
    const y = b.output('y');
    const whole = Math.floor((to - from) / spanFloats(span)) * spanFloats(span);
    forTaskRows(b, b.task, rows, perTask, (row) => {
      const source = b.mul(row, inputPitch);
      const target = b.mul(row, outputPitch);
      forSpans(b, span, whole, 4, (c, offset) => {
        const at = b.add(source, c);
        const value = span.vector ? b.loadVec(x, at, from + offset) : b.loadScalar(x, at, from + offset);
        b.store(y, b.add(target, c), value, offset);
      });
      for (let c = whole; c < to - from; c++) b.store(y, target, b.loadScalar(x, source, from + c), c);
      storeZeros(b, span, y, target, to - from, outputPitch);
    });
    return { main: [b.build()], prepare: [], packedFloats: 0, tempFloats: 0 };
  },
};
