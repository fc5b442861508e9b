import { KernelBuilder } from '../../codegen/builder.ts';
import type { Buffer, Value } from '../../codegen/ir.ts';
import type { DeviceCaps } from '../../core/caps.ts';
import { kernelName } from '../family.ts';
import type { Emission, KernelFamily } from '../family.ts';
import { exp, logFromOne } from '../math.ts';
import { walkChannels } from '../row-walk.ts';
import type { ChannelWalk } from '../row-walk.ts';
import { estimateTraffic, spanFor, storeZeros } from '../spans.ts';
import type { Span } from '../spans.ts';
import type { CrossEntropyGradientProblem, CrossEntropyProblem } from './problems.ts';

/** Operations of an exponential and what is around it. */
const OPERATIONS = 20;

/** −Σ target · log softmax(x) = Σ target · (max − x) + Σ target · log Σ e^(x − max); a task is one row. */
export const crossEntropy: KernelFamily<CrossEntropyProblem, Span> = {
  name: 'cross-entropy',
  op: 'cross-entropy',
  configs: (problem: CrossEntropyProblem, caps: DeviceCaps) => [spanFor(caps, problem.pitch)],
  estimate: (problem: CrossEntropyProblem, span: Span, caps: DeviceCaps) => estimateRows(problem, span, caps),
  emit({ rows, channels, pitch, lossPitch }: CrossEntropyProblem, span: Span): Emission {
    const b = new KernelBuilder({
      name: kernelName('cross_entropy', rows, channels, pitch, lossPitch),
      description: `cross-entropy of ${rows} rows of ${channels} classes`,
      lanes: span.lanes,
      tasks: rows,
    });
    const x = b.input('x');
    const target = b.input('target');
    const y = b.output('y');
    const row = b.mul(b.task, pitch);
    const walk = walkChannels(b, span, channels);
    const { largest, total } = softmaxSum(b, walk, x, row);
    const targets = walk.sum((lanes) => lanes.load(target, row));
    const below = walk.sum((lanes) =>
      b.mul(lanes.load(target, row), b.sub(lanes.fill(largest), lanes.load(x, row))),
    );
    const at = b.mul(b.task, lossPitch);
    b.store(y, at, b.fma(targets, logFromOne(b, total), below));
    storeZeros(b, span, y, at, 1, lossPitch);
    return { main: [b.build()], prepare: [], packedFloats: 0, tempFloats: 0 };
  },
};

/** dy · (softmax(x) · Σ target − target); a task is one row. */
export const crossEntropyGradient: KernelFamily<CrossEntropyGradientProblem, Span> = {
  name: 'cross-entropy-gradient',
  op: 'cross-entropy-gradient',
  configs: (problem: CrossEntropyGradientProblem, caps: DeviceCaps) => [spanFor(caps, problem.pitch)],
  estimate: (problem: CrossEntropyGradientProblem, span: Span, caps: DeviceCaps) =>
    estimateRows(problem, span, caps),
  emit({ rows, channels, pitch, lossPitch }: CrossEntropyGradientProblem, span: Span): Emission {
    const b = new KernelBuilder({
      name: kernelName('cross_entropy_gradient', rows, channels, pitch, lossPitch),
      description: `gradient of the cross-entropy of ${rows} rows of ${channels} classes`,
      lanes: span.lanes,
      tasks: rows,
    });
    const x = b.input('x');
    const target = b.input('target');
    const dy = b.input('dy');
    const y = b.output('y');
    const row = b.mul(b.task, pitch);
    const walk = walkChannels(b, span, channels);
    const { largest, total } = softmaxSum(b, walk, x, row);
    const targets = walk.sum((lanes) => lanes.load(target, row));
    const slope = b.loadScalar(dy, b.mul(b.task, lossPitch));
    const factor = b.div(targets, total);
    walk.each((lanes) => {
      const power = exp(b, b.sub(lanes.load(x, row), lanes.fill(largest)));
      const difference = b.sub(b.mul(power, lanes.fill(factor)), lanes.load(target, row));
      lanes.store(y, row, b.mul(difference, lanes.fill(slope)));
    });
    storeZeros(b, span, y, row, channels, pitch);
    return { main: [b.build()], prepare: [], packedFloats: 0, tempFloats: 0 };
  },
};

/** The largest x of a row, and Σ e^(x − largest), from 1 to the number of channels. */
function softmaxSum(
  b: KernelBuilder,
  walk: ChannelWalk,
  x: Buffer,
  row: Value,
): { readonly largest: Value; readonly total: Value } {
  const largest = walk.max((lanes) => lanes.load(x, row));
  const total = walk.sum((lanes) => exp(b, b.sub(lanes.load(x, row), lanes.fill(largest))));
  return { largest, total };
}

function estimateRows(
  { rows, pitch }: { readonly rows: number; readonly pitch: number },
  span: Span,
  caps: DeviceCaps,
): number {
  const floats = rows * pitch;
  return estimateTraffic(span, caps, {
    loads: 5 * floats,
    stores: floats,
    operations: 2 * OPERATIONS * floats,
    tasks: rows,
  });
}
