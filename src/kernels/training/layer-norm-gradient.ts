import { KernelBuilder } from '../../codegen/builder.ts';
import type { Kernel, Value } from '../../codegen/ir.ts';
import type { DeviceCaps } from '../../core/caps.ts';
import { emitPackVectors } from './channel-map.ts';
import { columnSumsFamily } from './column-sums.ts';
import type { ColumnSums } from './column-sums.ts';
import { kernelName } from '../family.ts';
import type { Emission, KernelFamily } from '../family.ts';
import { rowNormalizer } from '../layer-norm.ts';
import { estimateTraffic, fillSpan, forSpans, forTaskRows, loadSpan, rowsPerTask } from '../spans.ts';
import { spanFloats, spanFor, storeZeros, sumSpan } from '../spans.ts';
import type { Span } from '../spans.ts';
import type { LayerNormGradientProblem, LayerNormSumsProblem } from './problems.ts';

/** Gradient of a layer norm to its input. A row's normalised values are put aside in scratch memory, with the inverse deviation. */
export const layerNormGradient: KernelFamily<LayerNormGradientProblem, Span> = {
  name: 'layer-norm-gradient',
  op: 'layer-norm-gradient',
  configs: (problem: LayerNormGradientProblem, caps: DeviceCaps) => [spanFor(caps, problem.pitch)],
  estimate({ rows, pitch }: LayerNormGradientProblem, span: Span, caps: DeviceCaps): number {
    const floats = rows * pitch;
    return estimateTraffic(span, caps, {
      loads: floats * 6,
      stores: floats * 2,
      operations: floats * 12 + rows * 60 * spanFloats(span),
      tasks: Math.ceil(rows / rowsPerTask(rows, pitch)),
    });
  },
  emit(problem: LayerNormGradientProblem, span: Span): Emission {
    const { channels, pitch, affine } = problem;
    return {
      main: [emitGradient(problem, span)],
      prepare: affine ? [emitPackVectors(channels, pitch, ['weight'])] : [],
      packedFloats: affine ? pitch : 0,
      tempFloats: 0,
    };
  },
};

/** Independent totals hide the latency of additions. */
const TOTALS = 2;

function emitGradient(problem: LayerNormGradientProblem, span: Span): Kernel {
  const { rows, channels, pitch, affine } = problem;
  const perTask = rowsPerTask(rows, pitch);
  const b = new KernelBuilder({
    name: kernelName('layer_norm_gradient', rows, channels, pitch, affine ? 'affine' : 'plain'),
    description: `gradient of a layer norm of ${rows} rows of ${channels} channels`,
    lanes: span.lanes,
    tasks: Math.ceil(rows / perTask),
  });
  const x = b.input('x');
  const dy = b.input('dy');
  const packed = affine ? b.input('packed') : undefined;
  const y = b.output('y');
  const normal = b.scratch('normal', pitch);
  const normalize = rowNormalizer(b, problem, { ...span, held: false });
  const used = Math.ceil(channels / spanFloats(span)) * spanFloats(span);
  const sum = (terms: (c: Value, offset: number) => readonly Value[]): Value[] => {
    const totals = [0, 1].map(() =>
      Array.from({ length: TOTALS }, () => b.variable(fillSpan(b, span, 0), 'total')),
    );
    forSpans(b, span, used, 4, (c, offset, count) => {
      terms(c, offset).forEach((term, i) => {
        const total = totals[i]?.[count % TOTALS];
        total?.set(b.add(total.get(), term));
      });
    });
    return totals.map((parts) =>
      sumSpan(
        b,
        span,
        parts.map((part) => part.get()).reduce((a, c) => b.add(a, c)),
      ),
    );
  };

  forTaskRows(b, b.task, rows, perTask, (row) => {
    const index = b.mul(row, pitch);
    const factor = normalize(
      (c, offset) => loadSpan(b, span, x, b.add(index, c), offset),
      (value, c, offset) => b.store(normal, c, value, offset),
    );
    // Padding of dy is zero, and with it that of the products.
    const slopeAt = (c: Value, offset: number): Value => {
      const slope = loadSpan(b, span, dy, b.add(index, c), offset);
      return packed ? b.mul(slope, loadSpan(b, span, packed, c, offset)) : slope;
    };
    const [total, tilted] = sum((c, offset) => {
      const slope = slopeAt(c, offset);
      return [slope, b.mul(slope, loadSpan(b, span, normal, c, offset))];
    });
    const mean = fillSpan(b, span, b.div(total ?? b.f32(0), channels));
    const tilt = fillSpan(b, span, b.div(tilted ?? b.f32(0), channels));
    forSpans(b, span, used, 2, (c, offset) => {
      const rest = b.sub(slopeAt(c, offset), mean);
      const level = b.mul(loadSpan(b, span, normal, c, offset), tilt);
      b.store(y, b.add(index, c), b.mul(b.sub(rest, level), factor), offset);
    });
    storeZeros(b, span, y, index, channels, pitch);
  });
  return b.build();
}

/** Σ dy and Σ dy · x̂ over all rows. A task normalises the rows of its chunk into scratch memory first. */
export const layerNormSums = columnSumsFamily('layer-norm-sums', sumsOf);

function sumsOf({ rows, channels, pitch, epsilon }: LayerNormSumsProblem): ColumnSums {
  return {
    ...{ batch: 1, rows, channels, pitch },
    name: 'layer_norm_sums',
    description: `what ${rows} rows of ${channels} channels give to a layer norm's bias and weight`,
    terms: 2,
    operations: 10,
    tensors: 5,
    prepare(b, chunk, span) {
      const x = b.input('x');
      const dy = b.input('dy');
      const normal = b.scratch('normal', chunk.rows * pitch);
      const normalize = rowNormalizer(b, { channels, epsilon }, { ...span, held: false });
      b.for(0, chunk.count, 1, (row) => {
        const from = b.mul(b.add(chunk.first, row), pitch);
        const to = b.mul(row, pitch);
        normalize(
          (c, offset) => loadSpan(b, span, x, b.add(from, c), offset),
          (value, c, offset) => b.store(normal, b.add(to, c), value, offset),
        );
        storeZeros(b, span, normal, to, Math.ceil(channels / spanFloats(span)) * spanFloats(span), pitch);
      });
      return (column, offset) => (row, index) => {
        const slope = loadSpan(b, span, dy, index, offset);
        const at = b.add(b.mul(row, pitch), column);
        return [slope, b.mul(slope, loadSpan(b, span, normal, at, offset))];
      };
    },
  };
}
