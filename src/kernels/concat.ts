import { KernelBuilder } from '../codegen/builder.ts';
import type { Buffer, Value } from '../codegen/ir.ts';
import type { DeviceCaps } from '../core/caps.ts';
import { kernelName } from './family.ts';
import type { Emission, KernelFamily } from './family.ts';
import type { ConcatProblem } from './problem.ts';
import { estimateTraffic, forSpans, forTaskRows, rowsPerTask, spanFloats, storeZeros } from './spans.ts';
import type { Span } from './spans.ts';

export type ConcatConfig = Span;

/** Concatenation along channels: copies in vectors of any alignment. */
export const concat: KernelFamily<ConcatProblem, ConcatConfig> = {
  name: 'concat',
  op: 'concat',

  /** The widest vectors that the narrowest input fills at least once. */
  configs({ channels }: ConcatProblem, caps: DeviceCaps): readonly ConcatConfig[] {
    const narrowest = Math.min(...channels);
    const lanes = caps.lanes.find((candidate) => candidate <= narrowest);
    return [{ lanes: lanes ?? Math.min(...caps.lanes), vector: true }];
  },

  estimate({ rows, outputPitch }: ConcatProblem, config: ConcatConfig, caps: DeviceCaps): number {
    const floats = rows * outputPitch;
    const tasks = Math.ceil(rows / rowsPerTask(rows, outputPitch));
    return estimateTraffic(config, caps, { loads: floats, stores: floats, operations: 0, tasks });
  },

  emit({ rows, channels, pitches, outputPitch }: ConcatProblem, config: ConcatConfig): Emission {
    const perTask = rowsPerTask(rows, outputPitch);
    const b = new KernelBuilder({
      name: kernelName('concat', rows, ...channels, 'of', ...pitches, 'to', outputPitch),
      description: `${channels.join(' + ')} channels of ${rows} rows side by side`,
      lanes: config.lanes,
      tasks: Math.ceil(rows / perTask),
    });
    const inputs = channels.map((_, i) => b.input(i === 0 ? 'x' : `x${i}`));
    const y = b.output('y');
    forTaskRows(b, b.task, rows, perTask, (row) => {
      let next = b.mul(row, outputPitch);
      const start = next;
      inputs.forEach((input, i) => {
        const count = channels[i] ?? 0;
        copy(b, config, input, b.mul(row, pitches[i] ?? count), y, next, count);
        next = b.add(next, count);
      });
      const total = channels.reduce((sum, count) => sum + count, 0);
      storeZeros(b, config, y, start, total, outputPitch);
    });
    return { main: [b.build()], prepare: [], packedFloats: 0, tempFloats: 0 };
  },
};

/** Copies `count` floats. The last vector may overlap the one before it; fewer floats than a vector go one by one. */
function copy(
  b: KernelBuilder,
  span: Span,
  from: Buffer,
  source: Value,
  to: Buffer,
  target: Value,
  count: number,
): void {
  const step = spanFloats(span);
  const whole = Math.floor(count / step) * step;
  forSpans(b, span, whole, 4, (c, offset) => {
    b.store(to, b.add(target, c), b.loadVec(from, b.add(source, c), offset), offset);
  });
  if (whole === count) return;
  if (whole > 0) {
    b.store(to, target, b.loadVec(from, source, count - step), count - step);
    return;
  }
  for (let c = 0; c < count; c++) b.store(to, target, b.loadScalar(from, source, c), c);
}
