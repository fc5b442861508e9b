import type { KernelBuilder } from '../../codegen/builder.ts';
import type { Buffer, Value } from '../../codegen/ir.ts';
import type { DeviceCaps } from '../../core/caps.ts';
import { emitChannelMap, emitPackVectors, mapRows } from './channel-map.ts';
import { columnSumsFamily } from './column-sums.ts';
import type { ColumnSums } from './column-sums.ts';
import type { Emission, KernelFamily } from '../family.ts';
import { estimateTraffic, fillSpan, loadSpan, spanFor } from '../spans.ts';
import type { Span } from '../spans.ts';
import type { BatchNormGradientProblem, BatchNormSumsProblem, BatchNormalizeProblem } from './problems.ts';

/** (x − mean) · weight / √(variance + ε) + bias. */
export const batchNormalize: KernelFamily<BatchNormalizeProblem, Span> = {
  name: 'batch-normalize',
  op: 'batch-normalize',
  configs: (problem: BatchNormalizeProblem, caps: DeviceCaps) => [spanFor(caps, problem.pitch)],
  estimate: ({ rows, pitch }: BatchNormalizeProblem, span: Span, caps: DeviceCaps) =>
    estimateMap(rows, pitch, 1, span, caps),
  emit(problem: BatchNormalizeProblem, span: Span): Emission {
    const { rows, channels, pitch, epsilon } = problem;
    const main = emitChannelMap(
      {
        ...{ rows, channels, pitch },
        name: 'batch_normalize',
        description: `batch norm of ${rows} rows of ${channels} channels by their own statistics`,
        prepare(b) {
          const x = b.input('x');
          const statistics = b.input('statistics');
          const packed = b.input('packed');
          return (c, offset) => {
            const { mean, inverse } = momentsAt(b, span, statistics, { c, offset, pitch, epsilon });
            const factor = b.mul(inverse, loadSpan(b, span, packed, c, offset));
            const shift = loadSpan(b, span, packed, c, pitch + offset);
            return (index) => b.fma(b.sub(loadSpan(b, span, x, index, offset), mean), factor, shift);
          };
        },
      },
      span,
    );
    const prepare = [emitPackVectors(channels, pitch, ['weight', 'bias'])];
    return { main: [main], prepare, packedFloats: 2 * pitch, tempFloats: 0 };
  },
};

/** Σ dy and Σ dy · x̂ over the batch. */
export const batchNormSums = columnSumsFamily('batch-norm-sums', sumsOf);

function sumsOf({ rows, channels, pitch, epsilon }: BatchNormSumsProblem): ColumnSums {
  return {
    ...{ batch: 1, rows, channels, pitch },
    name: 'batch_norm_sums',
    description: `what ${rows} rows of ${channels} channels give to a batch norm's bias and weight`,
    terms: 2,
    operations: 4,
    tensors: 2,
    prepare(b, _chunk, span) {
      const x = b.input('x');
      const dy = b.input('dy');
      const statistics = b.input('statistics');
      return (c, offset) => {
        const { mean, inverse } = momentsAt(b, span, statistics, { c, offset, pitch, epsilon });
        return (_row, index) => {
          const slope = loadSpan(b, span, dy, index, offset);
          const normal = b.mul(b.sub(loadSpan(b, span, x, index, offset), mean), inverse);
          return [slope, b.mul(slope, normal)];
        };
      };
    },
  };
}

/** dx = weight / √(variance + ε) · (dy − Σdy / n − x̂ · Σ(dy·x̂) / n). */
export const batchNormGradient: KernelFamily<BatchNormGradientProblem, Span> = {
  name: 'batch-norm-gradient',
  op: 'batch-norm-gradient',
  configs: (problem: BatchNormGradientProblem, caps: DeviceCaps) => [spanFor(caps, problem.pitch)],
  estimate: ({ rows, pitch }: BatchNormGradientProblem, span: Span, caps: DeviceCaps) =>
    estimateMap(rows, pitch, 2, span, caps),
  emit(problem: BatchNormGradientProblem, span: Span): Emission {
    const { rows, channels, pitch, epsilon } = problem;
    const main = emitChannelMap(
      {
        ...{ rows, channels, pitch },
        name: 'batch_norm_gradient',
        description: `gradient of a batch norm of ${rows} rows of ${channels} channels`,
        prepare(b) {
          const x = b.input('x');
          const dy = b.input('dy');
          const statistics = b.input('statistics');
          const sums = b.input('sums');
          const packed = b.input('packed');
          return (c, offset) => {
            const { mean, inverse } = momentsAt(b, span, statistics, { c, offset, pitch, epsilon });
            const factor = b.mul(inverse, loadSpan(b, span, packed, c, offset));
            const meanSlope = b.mul(loadSpan(b, span, sums, c, offset), 1 / rows);
            const tilt = b.mul(b.mul(loadSpan(b, span, sums, c, pitch + offset), inverse), 1 / rows);
            return (index) => {
              const slope = b.sub(loadSpan(b, span, dy, index, offset), meanSlope);
              const centred = b.sub(loadSpan(b, span, x, index, offset), mean);
              return b.mul(b.sub(slope, b.mul(centred, tilt)), factor);
            };
          };
        },
      },
      span,
    );
    const prepare = [emitPackVectors(channels, pitch, ['weight'])];
    return { main: [main], prepare, packedFloats: pitch, tempFloats: 0 };
  },
};

/** Its inverse is finite in float32. */
const LEAST_DEVIATION = 1e-19;

interface Place {
  readonly c: Value;
  readonly offset: number;
  readonly pitch: number;
  readonly epsilon: number;
}

/** Mean and 1 / √(variance + ε) of a span of channels; finite in padding, whose variance is 0, for ε = 0 as well. */
function momentsAt(
  b: KernelBuilder,
  span: Span,
  statistics: Buffer,
  { c, offset, pitch, epsilon }: Place,
): { readonly mean: Value; readonly inverse: Value } {
  const variance = loadSpan(b, span, statistics, c, pitch + offset);
  return {
    mean: loadSpan(b, span, statistics, c, offset),
    inverse: b.div(fillSpan(b, span, 1), b.max(b.sqrt(b.add(variance, epsilon)), LEAST_DEVIATION)),
  };
}

function estimateMap(rows: number, pitch: number, tensors: number, span: Span, caps: DeviceCaps): number {
  const floats = rows * pitch;
  return estimateTraffic(span, caps, {
    loads: tensors * floats,
    stores: floats,
    operations: 4 * floats,
    tasks: Math.ceil(rows / mapRows(rows, pitch)),
  });
}
