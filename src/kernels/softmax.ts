import { KernelBuilder } from '../codegen/builder.ts';
import type { DeviceCaps } from '../core/caps.ts';
import { kernelName } from './family.ts';
import type { Emission, KernelFamily } from './family.ts';
import { exp } from './math.ts';
import type { SoftmaxProblem } from './problem.ts';
import { walkChannels } from './row-walk.ts';
import { estimateTraffic, forTaskRows, rowsPerTask, spanFor, storeZeros } from './spans.ts';
import type { Span } from './spans.ts';

export type SoftmaxConfig = Span;

/** Operations of one exponential and what is around it. */
const OPERATIONS = 20;

/** Softmax in three passes over a row: its maximum, the exponentials and their sum, the division. */
export const softmax: KernelFamily<SoftmaxProblem, SoftmaxConfig> = {
  name: 'softmax',
  op: 'softmax',

  configs: (problem: SoftmaxProblem, caps: DeviceCaps): readonly SoftmaxConfig[] => [
    spanFor(caps, problem.pitch),
  ],

  estimate({ rows, pitch }: SoftmaxProblem, config: SoftmaxConfig, caps: DeviceCaps): number {
    const floats = rows * pitch;
    return estimateTraffic(config, caps, {
      loads: 3 * floats,
      stores: 2 * floats,
      operations: OPERATIONS * floats,
      tasks: Math.ceil(rows / rowsPerTask(rows, pitch * OPERATIONS)),
    });
  },

  emit({ rows, channels, pitch }: SoftmaxProblem, config: SoftmaxConfig): Emission {
    const perTask = rowsPerTask(rows, pitch * OPERATIONS);
    const b = new KernelBuilder({
      name: kernelName('softmax', rows, channels, pitch),
      description: `softmax of ${rows} rows of ${channels} channels`,
      lanes: config.lanes,
      tasks: Math.ceil(rows / perTask),
    });
    const x = b.input('x');
    const y = b.inout('y');
    const walk = walkChannels(b, config, channels);
    forTaskRows(b, b.task, rows, perTask, (index) => {
      const row = b.mul(index, pitch);
      const largest = walk.max((lanes) => lanes.load(x, row));
      const total = walk.sum((lanes) => {
        const power = exp(b, b.sub(lanes.load(x, row), lanes.fill(largest)));
        lanes.store(y, row, power);
        return power;
      });
      const factor = b.div(b.f32(1), total);
      walk.each((lanes) => lanes.store(y, row, b.mul(lanes.load(y, row), lanes.fill(factor))));
      storeZeros(b, config, y, row, channels, pitch);
    });
    return { main: [b.build()], prepare: [], packedFloats: 0, tempFloats: 0 };
  },
};
