import { KernelBuilder } from '../../codegen/builder.ts';
import type { Kernel, Value } from '../../codegen/ir.ts';
import type { DeviceCaps } from '../../core/caps.ts';
import { kernelName } from '../family.ts';
import type { Emission, KernelFamily } from '../family.ts';
import type { Problem } from '../problem.ts';
import { estimateTraffic, fillSpan, forSpanBlocks, loadSpan, spanFloats, spanFor } from '../spans.ts';
import type { Span } from '../spans.ts';

/*
 * Sums over rows, a column a channel: what gradients to biases, scales and norms come down to.
 *
 * Rows are cut into chunks, which tasks sum apart; a second kernel adds the chunks. Chunks do not depend on the number
 * of threads, so results do not either.
 */

/** Rows of [batch · rows, pitch], summed apart for each of `batch`. */
export interface Columns {
  readonly batch: number;
  readonly rows: number;
  readonly channels: number;
  readonly pitch: number;
}

/** Sums of a few terms a column. */
export interface ColumnSums extends Columns {
  /** Names kernels. */
  readonly name: string;
  readonly description: string;
  /** How many; the output has as many rows for each of `batch`. */
  readonly terms: number;
  /** Operations on a value, for estimates. */
  readonly operations: number;
  /** Tensors read in full. */
  readonly tensors: number;
  /** Declares buffers, does what a chunk needs first, and returns what gives the terms of a span. */
  prepare(b: KernelBuilder, chunk: Chunk, span: Span): ColumnTerms;
}

/** The rows of a running task: `count` (a constant, or for the last chunk a value) from `first` on, over the whole batch. */
export interface Chunk {
  readonly first: Value;
  readonly count: Value;
  /** The most rows that a chunk has. */
  readonly rows: number;
}

/** Called once for the spans of a block of columns; gives a function of a row's number within the chunk. */
export type ColumnTerms = (column: Value, offset: number) => (row: Value, index: Value) => readonly Value[];

/** Floats of a chunk: a fraction of the second-level cache. */
const CHUNK_FLOATS = 16 * 1024;

/** Rows of a chunk, but at least as many as make partial sums cheap. */
export function chunkRows({ rows, pitch }: Columns): number {
  return Math.min(rows, Math.max(16, Math.floor(CHUNK_FLOATS / pitch)));
}

/** Chunks of each of `batch`. */
export function chunkCount(columns: Columns): number {
  return Math.ceil(columns.rows / chunkRows(columns));
}

/** The chunk of a task, and which of `batch` it belongs to. */
export function chunkOf(b: KernelBuilder, columns: Columns): Chunk & { readonly image: Value } {
  const rows = chunkRows(columns);
  const chunks = chunkCount(columns);
  const image = b.div(b.task, chunks);
  const start = b.mul(b.rem(b.task, chunks), rows);
  const count = columns.rows % rows === 0 ? b.i32(rows) : b.min(b.sub(columns.rows, start), rows);
  return { first: b.add(b.mul(image, columns.rows), start), count, rows, image };
}

/** The family of sums that follow from a problem. */
export function columnSumsFamily<P extends Problem & { readonly pitch: number }>(
  op: P['op'],
  sumsOf: (problem: P) => ColumnSums,
): KernelFamily<P, Span> {
  return {
    name: op,
    op,
    configs: ({ pitch }: P, caps: DeviceCaps) => [spanFor(caps, pitch)],
    estimate: (problem: P, span: Span, caps: DeviceCaps) => estimateColumnSums(sumsOf(problem), span, caps),
    emit: (problem: P, span: Span) => emitColumnSums(sumsOf(problem), span),
  };
}

/** Spans of a block of columns, whose sums stay in registers. */
const BLOCK_SPANS = 4;

function emitColumnSums(sums: ColumnSums, span: Span): Emission {
  const chunks = chunkCount(sums);
  const alone = chunks === 1;
  const partial = emitPartials(sums, span, alone ? 'y' : 'temp');
  return {
    main: alone ? [partial] : [partial, emitTotals(sums, span)],
    prepare: [],
    packedFloats: 0,
    tempFloats: alone ? 0 : sums.batch * chunks * sums.terms * sums.pitch,
  };
}

function emitPartials(sums: ColumnSums, span: Span, target: 'y' | 'temp'): Kernel {
  const { pitch, terms } = sums;
  const b = new KernelBuilder({
    name: kernelName(sums.name, sums.batch, sums.rows, sums.channels, pitch),
    description: sums.description,
    lanes: span.lanes,
    tasks: sums.batch * chunkCount(sums),
  });
  const chunk = chunkOf(b, sums);
  const termsOf = sums.prepare(b, chunk, span);
  const out = b.output(target);
  forSpanBlocks(b, span, pitch, Math.max(1, Math.floor(BLOCK_SPANS / terms)), (c, offsets) => {
    const blocks = offsets.map((offset) => ({
      offset,
      termsAt: termsOf(c, offset),
      totals: Array.from({ length: terms }, () => b.variable(fillSpan(b, span, 0), 'total')),
    }));
    b.for(0, chunk.count, 1, (row) => {
      const index = b.add(b.mul(b.add(chunk.first, row), pitch), c);
      for (const { termsAt, totals } of blocks) {
        termsAt(row, index).forEach((term, i) => {
          const total = totals[i];
          total?.set(b.add(total.get(), term));
        });
      }
    });
    const at = b.add(b.mul(b.task, terms * pitch), c);
    for (const { offset, totals } of blocks) {
      totals.forEach((total, i) => b.store(out, at, total.get(), i * pitch + offset));
    }
  });
  return b.build();
}

/** Adds the chunks of each of `batch`. A task is one span of columns. */
function emitTotals(sums: ColumnSums, span: Span): Kernel {
  const { batch, pitch, terms } = sums;
  const chunks = chunkCount(sums);
  const step = spanFloats(span);
  const spans = (terms * pitch) / step;
  const b = new KernelBuilder({
    name: kernelName('chunk_totals', batch, chunks, terms, pitch),
    description: `adds ${chunks} partial sums of ${terms} × ${pitch} floats`,
    lanes: span.lanes,
    tasks: batch * spans,
  });
  const temp = b.input('temp');
  const y = b.output('y');
  const image = b.div(b.task, spans);
  const c = b.mul(b.rem(b.task, spans), step);
  const total = b.variable(fillSpan(b, span, 0), 'total');
  const first = b.add(b.mul(image, chunks * terms * pitch), c);
  b.for(0, chunks, 1, (chunk) => {
    total.set(b.add(total.get(), loadSpan(b, span, temp, b.add(first, b.mul(chunk, terms * pitch)))));
  });
  b.store(y, b.add(b.mul(image, terms * pitch), c), total.get());
  return b.build();
}

/** Cycles, as {@link estimateTraffic} counts them. */
export function estimateColumnSums(
  sums: Pick<ColumnSums, 'batch' | 'rows' | 'channels' | 'pitch' | 'terms' | 'operations' | 'tensors'>,
  span: Span,
  caps: DeviceCaps,
): number {
  const floats = sums.batch * sums.rows * sums.pitch;
  const chunks = sums.batch * chunkCount(sums);
  return estimateTraffic(span, caps, {
    loads: floats * sums.tensors + chunks * sums.terms * sums.pitch,
    stores: chunks * sums.terms * sums.pitch,
    operations: floats * sums.operations,
    tasks: chunks,
  });
}
