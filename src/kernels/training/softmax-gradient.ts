import { KernelBuilder } from '../../codegen/builder.ts';
import type { DeviceCaps } from '../../core/caps.ts';
import { kernelName } from '../family.ts';
import type { Emission, KernelFamily } from '../family.ts';
import { walkChannels } from '../row-walk.ts';
import { estimateTraffic, forTaskRows, rowsPerTask, spanFor, storeZeros } from '../spans.ts';
import type { Span } from '../spans.ts';
import type { SoftmaxGradientProblem } from './problems.ts';

/** s · (dy − Σ dy · s) over the channels of each row, s being what the softmax gave. */
export const softmaxGradient: KernelFamily<SoftmaxGradientProblem, Span> = {
  name: 'softmax-gradient',
  op: 'softmax-gradient',
  configs: (problem: SoftmaxGradientProblem, caps: DeviceCaps) => [spanFor(caps, problem.pitch)],
  estimate({ rows, pitch }: SoftmaxGradientProblem, span: Span, caps: DeviceCaps): number {
    const floats = rows * pitch;
    const tasks = Math.ceil(rows / rowsPerTask(rows, pitch));
    return estimateTraffic(span, caps, { loads: 4 * floats, stores: floats, operations: 4 * floats, tasks });
  },
  emit({ rows, channels, pitch }: SoftmaxGradientProblem, span: Span): Emission {
    const perTask = rowsPerTask(rows, pitch);
    const b = new KernelBuilder({
      name: kernelName('softmax_gradient', rows, channels, pitch),
      description: `gradient of the softmax of ${rows} rows of ${channels} channels`,
      lanes: span.lanes,
      tasks: Math.ceil(rows / perTask),
    });
    const x = b.input('x');
    const dy = b.input('dy');
    const y = b.output('y');
    const walk = walkChannels(b, span, channels);
    forTaskRows(b, b.task, rows, perTask, (index) => {
      const row = b.mul(index, pitch);
      const mean = walk.sum((lanes) => b.mul(lanes.load(x, row), lanes.load(dy, row)));
      walk.each((lanes) => {
        const rest = b.sub(lanes.load(dy, row), lanes.fill(mean));
        lanes.store(y, row, b.mul(lanes.load(x, row), rest));
      });
      storeZeros(b, span, y, row, channels, pitch);
    });
    return { main: [b.build()], prepare: [], packedFloats: 0, tempFloats: 0 };
  },
};
