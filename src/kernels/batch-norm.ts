import { KernelBuilder } from '../codegen/builder.ts';
import type { Kernel } from '../codegen/ir.ts';
import type { DeviceCaps } from '../core/caps.ts';
import { kernelName } from './family.ts';
import type { Emission, KernelFamily } from './family.ts';
import { activate, activationOperations, keepsZero } from './math.ts';
import type { BatchNormProblem } from './problem.ts';
import { estimateTraffic, forSpanBlocks, forTaskRows, loadSpan, rowsPerTask, spanFor } from './spans.ts';
import type { Span } from './spans.ts';

export type BatchNormConfig = Span;

/** Batch norm at inference, y = activation(x · factor + shift), with factor and shift [C] computed once in prepare. */
export const batchNorm: KernelFamily<BatchNormProblem, BatchNormConfig> = {
  name: 'batch-norm',
  op: 'batch-norm',

  configs: (problem: BatchNormProblem, caps: DeviceCaps): readonly BatchNormConfig[] => [
    spanFor(caps, problem.pitch),
  ],

  estimate({ rows, pitch, activation }: BatchNormProblem, config: BatchNormConfig, caps: DeviceCaps): number {
    const floats = rows * pitch;
    return estimateTraffic(config, caps, {
      loads: floats,
      stores: floats,
      operations: floats * (1 + activationOperations(activation)),
      tasks: Math.ceil(rows / rowsPerTask(rows, pitch)),
    });
  },

  emit(problem: BatchNormProblem, config: BatchNormConfig): Emission {
    return {
      main: [emitMain(problem, config)],
      prepare: [emitPrepare(problem)],
      packedFloats: problem.pitch * (keepsZero(problem.activation) ? 2 : 3),
      tempFloats: 0,
    };
  },
};

/**
 * Fills `packed`, zeroed before: factor [pitch] = weight / √(running_var + epsilon), shift [pitch] = bias −
 * running_mean · factor, and, where activation(0) is not 0, ones [C] that keep the padding zero.
 */
function emitPrepare({ channels, pitch, epsilon, activation }: BatchNormProblem): Kernel {
  const b = new KernelBuilder({
    name: kernelName('batch_norm_pack', channels, pitch, epsilon, keepsZero(activation) ? '' : 'mask'),
    description: `factor and shift of a batch norm of ${channels} channels, epsilon ${epsilon}`,
    lanes: 4,
    tasks: 1,
  });
  const weight = b.input('weight');
  const bias = b.input('bias');
  const mean = b.input('running_mean');
  const variance = b.input('running_var');
  const packed = b.output('packed');
  b.for(0, channels, 1, (c) => {
    const deviation = b.sqrt(b.add(b.loadScalar(variance, c), epsilon));
    const factor = b.div(b.loadScalar(weight, c), deviation);
    b.store(packed, c, factor);
    b.store(packed, c, b.sub(b.loadScalar(bias, c), b.mul(b.loadScalar(mean, c), factor)), pitch);
    if (!keepsZero(activation)) b.store(packed, c, b.f32(1), 2 * pitch);
  });
  return b.build();
}

/** Blocks of channels outside, rows inside, so that factor and shift stay in registers. */
function emitMain({ rows, channels, pitch, activation }: BatchNormProblem, config: BatchNormConfig): Kernel {
  const perTask = rowsPerTask(rows, pitch);
  const b = new KernelBuilder({
    name: kernelName('batch_norm', rows, channels, pitch, activation),
    description: `batch norm of ${rows} rows of ${channels} channels, then ${activation}`,
    lanes: config.lanes,
    tasks: Math.ceil(rows / perTask),
  });
  const x = b.input('x');
  const packed = b.input('packed');
  const y = b.output('y');
  forSpanBlocks(b, config, pitch, 4, (c, offsets) => {
    const spans = offsets.map((offset) => ({
      offset,
      factor: loadSpan(b, config, packed, c, offset),
      shift: loadSpan(b, config, packed, c, offset + pitch),
      mask: keepsZero(activation) ? undefined : loadSpan(b, config, packed, c, offset + 2 * pitch),
    }));
    forTaskRows(b, b.task, rows, perTask, (row) => {
      const index = b.add(b.mul(row, pitch), c);
      for (const { offset, factor, shift, mask } of spans) {
        const value = activate(b, activation, b.fma(loadSpan(b, config, x, index, offset), factor, shift));
        b.store(y, index, mask ? b.mul(value, mask) : value, offset);
      }
    });
  });
  return b.build();
}
