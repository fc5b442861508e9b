import { nestedBlocks } from '../inline.ts';
import { alignedLength } from '../ir.ts';
import type { Buffer, Kernel, Statement, Value } from '../ir.ts';

/**
 * How a kernel's buffers lie in linear memory. The kernel function takes the byte address of each global buffer,
 * then that of the thread's scratch memory, then the task.
 */
export interface Addressing {
  /** The parameter that holds the address of a buffer's memory. */
  base(buffer: Buffer): number;
  /** Bytes from there to the buffer's first float. */
  start(buffer: Buffer): number;
  readonly taskParam: number;
}

export function addressing(kernel: Kernel): Addressing {
  const params = new Map(kernel.buffers.map((buffer, i) => [buffer, i]));
  const starts = new Map<Buffer, number>();
  let bytes = 0;
  for (const buffer of kernel.scratch) {
    starts.set(buffer, bytes);
    bytes += 4 * alignedLength(buffer.length);
  }
  return {
    base: (buffer) => params.get(buffer) ?? kernel.buffers.length,
    start: (buffer) => starts.get(buffer) ?? 0,
    taskParam: kernel.buffers.length + 1,
  };
}

/** Larger constant offsets are added to the address instead. */
const MAX_FOLDED_BYTES = 1 << 24;

/**
 * A memory instruction adds its constant offset without wrapping around, so an address of negative index and
 * positive offset would be out of bounds unless it stays at or above 0. An offset of that many bytes is folded
 * into the instruction only up to the limit above; `guardBytes` says what a program needs below its buffers.
 */
export function foldsOffset(bytes: number): boolean {
  return bytes >= 0 && bytes <= MAX_FOLDED_BYTES;
}

/** The largest offset that the code of a kernel folds: its buffers must lie at least that far from address 0. */
export function guardBytes(kernel: Kernel): number {
  const { start } = addressing(kernel);
  let largest = 0;
  const access = (buffer: Buffer, index: Value, offset: number): void => {
    const bytes = start(buffer) + 4 * offset;
    if (index.op !== 'const' && foldsOffset(bytes)) largest = Math.max(largest, bytes);
  };
  const visit = (block: readonly Statement[]): void => {
    for (const statement of block) {
      if (statement.kind === 'store') access(statement.buffer, statement.index, statement.offset);
      if (statement.kind === 'let' && statement.value.op === 'load') {
        access(statement.value.buffer, statement.value.index, statement.value.offset);
      }
      for (const nested of nestedBlocks(statement)) visit(nested);
    }
  };
  visit(kernel.body);
  return largest;
}
