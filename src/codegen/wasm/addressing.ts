import { nestedBlocks } from '../inline.ts';
import { alignedLength } from '../ir.ts';
import type { Buffer, Kernel, Statement, Value } from '../ir.ts';

/** Stands for the constant address of the kernel's tables where others have a parameter. */
export const TABLES = -1;

/**
 * How a kernel's buffers lie in linear memory. The kernel function takes the byte address of each global buffer,
 * then that of the thread's scratch memory, then the task. Scratch buffers and tables lie one after the other.
 */
export interface Addressing {
  /** The parameter that holds the address of a buffer's memory, or {@link TABLES}. */
  readonly base: (buffer: Buffer) => number;
  /** Bytes from there to the buffer's first float. */
  readonly start: (buffer: Buffer) => number;
  readonly taskParam: number;
}

export function addressing(kernel: Kernel): Addressing {
  const params = new Map(kernel.buffers.map((buffer, i) => [buffer, i]));
  const starts = new Map([
    ...sequence(kernel.scratch),
    ...sequence(kernel.tables.map((table) => table.buffer)),
  ]);
  const scratch = kernel.buffers.length;
  return {
    base: (buffer) => (buffer.space === 'constant' ? TABLES : (params.get(buffer) ?? scratch)),
    start: (buffer) => starts.get(buffer) ?? 0,
    taskParam: kernel.buffers.length + 1,
  };
}

/** Bytes of a kernel's tables. */
export function tableBytes(kernel: Kernel): number {
  return kernel.tables.reduce((sum, { buffer }) => sum + 4 * alignedLength(buffer.length), 0);
}

/** Each buffer with its start in bytes. */
function sequence(buffers: readonly Buffer[]): [Buffer, number][] {
  let bytes = 0;
  return buffers.map((buffer) => {
    const start = bytes;
    bytes += 4 * alignedLength(buffer.length);
    return [buffer, start];
  });
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
      if (statement.kind === 'store' || statement.kind === 'prefetch')
        access(statement.buffer, statement.index, statement.offset);
      if (statement.kind === 'let' && statement.value.op === 'load') {
        access(statement.value.buffer, statement.value.index, statement.value.offset);
      }
      for (const nested of nestedBlocks(statement)) visit(nested);
    }
  };
  visit(kernel.body);
  return largest;
}
