import { KernelBuilder } from '../../codegen/builder.ts';
import type { DeviceCaps } from '../../core/caps.ts';
import { kernelName } from '../family.ts';
import type { KernelFamily } from '../family.ts';
import { activationDerivative, activationOperations } from '../math.ts';
import { estimateTraffic, forSpans, forTaskRows, loadSpan, spanFor } from '../spans.ts';
import type { Span } from '../spans.ts';
import type { ActivationGradientProblem } from './problems.ts';

/** Floats of a task: three streams of 64 KiB, long enough for the processor to read ahead. */
const TASK_FLOATS = 16 * 1024;

/** dy · φ′(x), along memory: padding is zero in dy, and stays zero. */
export const activationGradient: KernelFamily<ActivationGradientProblem, Span> = {
  name: 'activation-gradient',
  op: 'activation-gradient',
  configs: (problem: ActivationGradientProblem, caps: DeviceCaps) => [spanFor(caps, runOf(problem))],
  estimate(problem: ActivationGradientProblem, span: Span, caps: DeviceCaps): number {
    const floats = problem.rows * problem.pitch;
    return estimateTraffic(span, caps, {
      loads: 2 * floats,
      stores: floats,
      operations: (2 + 2 * activationOperations(problem.activation)) * floats,
      tasks: Math.ceil(floats / Math.max(TASK_FLOATS, runOf(problem))),
    });
  },
  emit(problem: ActivationGradientProblem, span: Span) {
    const { rows, pitch, activation } = problem;
    const run = runOf(problem);
    const runs = (rows * pitch) / run;
    const perTask = Math.min(runs, Math.max(1, Math.floor(TASK_FLOATS / run)));
    const b = new KernelBuilder({
      name: kernelName(`${activation}_gradient`, runs, run),
      description: `gradient of ${activation} on ${runs} runs of ${run} floats`,
      lanes: span.lanes,
      tasks: Math.ceil(runs / perTask),
    });
    const x = b.input('x');
    const dy = b.input('dy');
    const y = b.output('y');
    forTaskRows(b, b.task, runs, perTask, (row) => {
      const start = b.mul(row, run);
      forSpans(b, span, run, 2, (c, offset) => {
        const index = b.add(start, c);
        const slope = activationDerivative(b, activation, loadSpan(b, span, x, index, offset));
        b.store(y, index, b.mul(loadSpan(b, span, dy, index, offset), slope), offset);
      });
    });
    return { main: [b.build()], prepare: [], packedFloats: 0, tempFloats: 0 };
  },
};

/** The tensor is one run of floats, cut into equal runs of a handy length. */
function runOf({ rows, pitch }: ActivationGradientProblem): number {
  const floats = rows * pitch;
  return [TASK_FLOATS, 4096, 1024, 256].find((length) => floats % length === 0) ?? pitch;
}
