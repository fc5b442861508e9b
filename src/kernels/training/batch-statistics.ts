import { KernelBuilder } from '../../codegen/builder.ts';
import type { Kernel, Value } from '../../codegen/ir.ts';
import type { DeviceCaps } from '../../core/caps.ts';
import { chunkCount, chunkOf, chunkRows, estimateColumnSums } from './column-sums.ts';
import type { Columns } from './column-sums.ts';
import { kernelName } from '../family.ts';
import type { Emission, KernelFamily } from '../family.ts';
import { fillSpan, forSpanBlocks, loadSpan, spanFloats, spanFor } from '../spans.ts';
import type { Span } from '../spans.ts';
import type { BatchStatisticsProblem } from './problems.ts';

/**
 * Mean and variance of each channel. Each chunk of rows has its own mean and its own sum of squared differences, taken
 * while it is in the cache; chunks are joined by the rule of Chan, Golub & LeVeque (1979). So there is one pass over
 * memory, and no difference of large numbers.
 */
export const batchStatistics: KernelFamily<BatchStatisticsProblem, Span> = {
  name: 'batch-statistics',
  op: 'batch-statistics',
  configs: (problem: BatchStatisticsProblem, caps: DeviceCaps) => [spanFor(caps, problem.pitch)],
  estimate: (problem: BatchStatisticsProblem, span: Span, caps: DeviceCaps) =>
    estimateColumnSums({ ...columnsOf(problem), terms: 2, operations: 3, tensors: 1 }, span, caps),
  emit(problem: BatchStatisticsProblem, span: Span): Emission {
    const columns = columnsOf(problem);
    return {
      main: [emitChunks(columns, span), emitJoin(columns, span)],
      prepare: [],
      packedFloats: 0,
      tempFloats: chunkCount(columns) * 2 * columns.pitch,
    };
  },
};

function columnsOf({ rows, channels, pitch }: BatchStatisticsProblem): Columns {
  return { batch: 1, rows, channels, pitch };
}

/** `temp`: for each chunk, a row of means and a row of Σ (x − mean)². */
function emitChunks(columns: Columns, span: Span): Kernel {
  const { rows, channels, pitch } = columns;
  const b = new KernelBuilder({
    name: kernelName('batch_statistics', rows, channels, pitch),
    description: `means and squared differences of chunks of ${rows} rows of ${channels} channels`,
    lanes: span.lanes,
    tasks: chunkCount(columns),
  });
  const x = b.input('x');
  const temp = b.output('temp');
  const chunk = chunkOf(b, columns);
  const count = b.toF32(chunk.count);
  forSpanBlocks(b, span, pitch, 4, (c, offsets) => {
    const total = (term: (index: Value, offset: number, i: number) => Value): Value[] => {
      const totals = offsets.map(() => b.variable(fillSpan(b, span, 0), 'total'));
      b.for(0, chunk.count, 1, (row) => {
        const index = b.add(b.mul(b.add(chunk.first, row), pitch), c);
        totals.forEach((sum, i) => sum.set(b.add(sum.get(), term(index, offsets[i] ?? 0, i))));
      });
      return totals.map((sum) => sum.get());
    };
    const sums = total((index, offset) => loadSpan(b, span, x, index, offset));
    const means = sums.map((sum) => b.div(sum, fillSpan(b, span, count)));
    const squares = total((index, offset, i) => {
      const mean = means[i];
      const value = loadSpan(b, span, x, index, offset);
      const difference = mean ? b.sub(value, mean) : value;
      return b.mul(difference, difference);
    });
    const at = b.add(b.mul(b.task, 2 * pitch), c);
    means.forEach((mean, i) => b.store(temp, at, mean, offsets[i] ?? 0));
    squares.forEach((sum, i) => b.store(temp, at, sum, pitch + (offsets[i] ?? 0)));
  });
  return b.build();
}

/** mean = Σ nᵢ meanᵢ / n; variance = (Σ squaresᵢ + Σ nᵢ (meanᵢ − mean)²) / n. */
function emitJoin(columns: Columns, span: Span): Kernel {
  const { rows, pitch } = columns;
  const chunks = chunkCount(columns);
  const step = spanFloats(span);
  const b = new KernelBuilder({
    name: kernelName('batch_statistics_join', rows, chunks, pitch),
    description: `mean and variance of ${rows} rows from those of ${chunks} chunks`,
    lanes: span.lanes,
    tasks: pitch / step,
  });
  const temp = b.input('temp');
  const y = b.output('y');
  const c = b.mul(b.task, step);
  const each = chunkRows(columns);
  const last = rows - (chunks - 1) * each;
  /** Σ over chunks of share · term, where a chunk's share is its rows over all. */
  const joined = (term: (at: Value, share: number) => Value): Value => {
    const total = b.variable(fillSpan(b, span, 0), 'total');
    const take = (at: Value, share: number): void => total.set(b.add(total.get(), term(at, share)));
    b.for(0, chunks - 1, 1, (chunk) => take(b.add(b.mul(chunk, 2 * pitch), c), each / rows));
    take(b.add(c, (chunks - 1) * 2 * pitch), last / rows);
    return total.get();
  };
  const mean = joined((at, share) => b.mul(loadSpan(b, span, temp, at), share));
  const variance = joined((at, share) => {
    const difference = b.sub(loadSpan(b, span, temp, at), mean);
    const inside = b.mul(loadSpan(b, span, temp, at, pitch), 1 / rows);
    return b.fma(b.mul(difference, difference), fillSpan(b, span, share), inside);
  });
  b.store(y, c, mean);
  b.store(y, c, variance, pitch);
  return b.build();
}
