import type { KernelBuilder } from '../codegen/builder.ts';
import type { Buffer, Value } from '../codegen/ir.ts';
import type { DeviceCaps } from '../core/caps.ts';

/**
 * How a memory-bound kernel walks along channels: in vectors of `lanes`, or, where no vector of the
 * device fits into the pitch (an image of 3 channels), one float at a time. A span is that vec or f32.
 */
export type Span = {
  readonly lanes: number;
  readonly vector: boolean;
};

/** The widest span that divides all pitches. */
export function spanFor(caps: DeviceCaps, ...pitches: readonly number[]): Span {
  const lanes = caps.lanes.find((candidate) => pitches.every((pitch) => pitch % candidate === 0));
  return lanes === undefined ? { lanes: Math.min(...caps.lanes), vector: false } : { lanes, vector: true };
}

/** Floats in a span. */
export function spanFloats(span: Span): number {
  return span.vector ? span.lanes : 1;
}

/** Loads `buffer[index + offset …]`. */
export function loadSpan(b: KernelBuilder, span: Span, buffer: Buffer, index: Value, offset = 0): Value {
  return span.vector ? b.loadVec(buffer, index, offset) : b.loadScalar(buffer, index, offset);
}

/** A number or f32 in the whole span. */
export function fillSpan(b: KernelBuilder, span: Span, value: Value | number): Value {
  if (span.vector) return b.vec(value);
  return typeof value === 'number' ? b.f32(value) : value;
}

/** The sum of a span's floats, f32. */
export function sumSpan(b: KernelBuilder, span: Span, value: Value): Value {
  return span.vector ? b.sumLanes(value) : value;
}

/**
 * Calls `body(c, offset, count)` so that `c + offset` takes every multiple of the span in `[0, floats)`; `floats`
 * is a multiple of the span. Blocks of `unroll` spans are loop bodies; `count` numbers the spans of a block.
 */
export function forSpans(
  b: KernelBuilder,
  span: Span,
  floats: number,
  unroll: number,
  body: (c: Value, offset: number, count: number) => void,
): void {
  forSpanBlocks(b, span, floats, unroll, (c, offsets) => {
    offsets.forEach((offset, count) => body(c, offset, count));
  });
}

/** As {@link forSpans}, but one call a block, with the offsets of the spans in it. */
export function forSpanBlocks(
  b: KernelBuilder,
  span: Span,
  floats: number,
  unroll: number,
  body: (c: Value, offsets: readonly number[]) => void,
): void {
  const step = spanFloats(span);
  const whole = Math.floor(floats / (step * unroll)) * step * unroll;
  b.for(0, whole, step * unroll, (c) => body(c, multiples(step, 0, step * unroll)));
  if (whole < floats) body(b.i32(0), multiples(step, whole, floats));
}

/** Stores zeros to `buffer[index + from … index + to]`, in spans where they fit. */
export function storeZeros(
  b: KernelBuilder,
  span: Span,
  buffer: Buffer,
  index: Value,
  from: number,
  to: number,
): void {
  const step = spanFloats(span);
  let offset = from;
  for (; offset + step <= to; offset += step) b.store(buffer, index, fillSpan(b, span, 0), offset);
  for (; offset < to; offset++) b.store(buffer, index, b.f32(0), offset);
}

/** About this many floats make a task: enough to pay for handing it out, few enough to stay in the L1 cache. */
const TASK_FLOATS = 4096;

/** Rows that one task takes of `rows` rows of `floats` floats. */
export function rowsPerTask(rows: number, floats: number): number {
  return Math.min(rows, Math.max(1, Math.floor(TASK_FLOATS / floats)));
}

/** Runs `body` for the rows of one task of `perTask` rows, `task` being the running task's number among them. */
export function forTaskRows(
  b: KernelBuilder,
  task: Value,
  rows: number,
  perTask: number,
  body: (row: Value) => void,
): void {
  if (perTask === 1) {
    body(task);
    return;
  }
  const start = b.mul(task, perTask);
  b.for(start, rows % perTask === 0 ? b.add(start, perTask) : b.min(b.add(start, perTask), rows), 1, body);
}

/** What a memory-bound kernel does, counted in floats. */
export interface Traffic {
  readonly loads: number;
  readonly stores: number;
  readonly operations: number;
  readonly tasks: number;
}

/** Cycles at two loads, one store and two operations a cycle, whichever takes longest, and with idle threads counted. */
export function estimateTraffic(span: Span, caps: DeviceCaps, traffic: Traffic): number {
  const { loads, stores, operations, tasks } = traffic;
  const rounds = Math.ceil(tasks / caps.threads);
  const busy = Math.max(loads / 2, stores, operations / 2) / spanFloats(span);
  return (busy * rounds * caps.threads) / tasks;
}

function multiples(step: number, from: number, to: number): number[] {
  return Array.from({ length: (to - from) / step }, (_, i) => from + i * step);
}
