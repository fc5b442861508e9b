import { KernelBuilder } from '../codegen/builder.ts';
import type { Buffer, Value } from '../codegen/ir.ts';
import type { DeviceCaps } from '../core/caps.ts';
import { kernelName } from './family.ts';
import type { Emission, KernelFamily } from './family.ts';
import { activate, activationOperations, keepsZero } from './math.ts';
import type { ElementwiseProblem, ElementwiseStep } from './problem.ts';
import { estimateTraffic, forSpans, forTaskRows, loadSpan, rowsPerTask } from './spans.ts';
import { spanFloats, spanFor, storeZeros } from './spans.ts';
import type { Span } from './spans.ts';

export type ElementwiseConfig = Span;

/** A chain of element-wise steps in one pass over memory. */
export const elementwise: KernelFamily<ElementwiseProblem, ElementwiseConfig> = {
  name: 'elementwise',
  op: 'elementwise',

  configs(problem: ElementwiseProblem, caps: DeviceCaps): readonly ElementwiseConfig[] {
    return [spanFor(caps, viewAsRows(problem).pitch)];
  },

  estimate(problem: ElementwiseProblem, config: ElementwiseConfig, caps: DeviceCaps): number {
    const { rows, pitch } = viewAsRows(problem);
    const floats = rows * pitch;
    const operations = problem.steps
      .map((step) => (step.kind === 'activation' ? activationOperations(step.activation) : 1))
      .reduce((a, b) => a + b, 0);
    return estimateTraffic(config, caps, {
      loads: floats * (1 + problem.steps.filter(hasOperand).length),
      stores: floats,
      operations: floats * operations,
      tasks: Math.ceil(rows / rowsPerTask(rows, pitch)),
    });
  },

  emit(problem: ElementwiseProblem, config: ElementwiseConfig): Emission {
    const { steps } = problem;
    const { rows, channels, pitch } = viewAsRows(problem);
    const perTask = rowsPerTask(rows, pitch);
    const b = new KernelBuilder({
      name: kernelName('elementwise', rows, channels, pitch, ...steps.map(describe)),
      description: `${steps.map(describe).join(', ')} of ${rows} rows of ${channels} floats`,
      lanes: config.lanes,
      tasks: Math.ceil(rows / perTask),
    });
    const x = b.input('x');
    const operands = steps.filter(hasOperand).map((_, i) => b.input(`x${i + 1}`));
    const y = b.output('y');
    const whole = Math.floor(channels / spanFloats(config)) * spanFloats(config);
    forTaskRows(b, b.task, rows, perTask, (row) => {
      const index = b.mul(row, pitch);
      forSpans(b, config, whole, 4, (c, offset) => {
        const at = b.add(index, c);
        b.store(
          y,
          at,
          chain(b, steps, x, operands, (buffer) => loadSpan(b, config, buffer, at, offset)),
          offset,
        );
      });
      for (let c = whole; c < channels; c++) {
        b.store(
          y,
          index,
          chain(b, steps, x, operands, (buffer) => b.loadScalar(buffer, index, c)),
          c,
        );
      }
      storeZeros(b, config, y, index, channels, pitch);
    });
    return { main: [b.build()], prepare: [], packedFloats: 0, tempFloats: 0 };
  },
};

interface Rows {
  readonly rows: number;
  readonly channels: number;
  readonly pitch: number;
}

/**
 * Where the chain makes zero of zero, padding needs no care and the tensor is one run of floats, cut into
 * rows of a handy length; else its own rows, of which the padding is set to zero.
 */
function viewAsRows({ rows, channels, pitch, steps }: ElementwiseProblem): Rows {
  if (channels < pitch && !steps.every(stepKeepsZero)) return { rows, channels, pitch };
  const floats = rows * pitch;
  const length = [4096, 2048, 1024, 512, 256, 128, 64, 32, 16].find((candidate) => floats % candidate === 0);
  return length === undefined
    ? { rows, channels: pitch, pitch }
    : { rows: floats / length, channels: length, pitch: length };
}

function stepKeepsZero(step: ElementwiseStep): boolean {
  if (step.kind === 'activation') return keepsZero(step.activation);
  return step.kind !== 'affine' || step.shift === 0;
}

function hasOperand(step: ElementwiseStep): boolean {
  return step.kind === 'add' || step.kind === 'sub' || step.kind === 'mul';
}

function describe(step: ElementwiseStep): string {
  if (step.kind === 'activation') return step.activation;
  return step.kind === 'affine' ? `affine ${step.scale} ${step.shift}` : step.kind;
}

function chain(
  b: KernelBuilder,
  steps: readonly ElementwiseStep[],
  x: Buffer,
  operands: readonly Buffer[],
  load: (buffer: Buffer) => Value,
): Value {
  const remaining = operands.map((buffer) => () => load(buffer));
  const next = (): Value => (remaining.shift() ?? (() => load(x)))();
  return steps.reduce<Value>((value, step) => {
    switch (step.kind) {
      case 'add':
      case 'sub':
      case 'mul':
        return b[step.kind](value, next());
      case 'activation':
        return activate(b, step.activation, value);
      case 'affine':
        return b.fma(value, step.scale, step.shift);
    }
  }, load(x));
}
