import type { Kernel } from '../ir.ts';
import type { MemoryImport } from './module.ts';

/** A call of a kernel: the byte address of each of its global buffers, in order. */
export interface WasmStep {
  readonly kernel: number;
  readonly addresses: readonly number[];
}

/** Kernels and steps with everything laid out in linear memory. All addresses are in bytes. */
export interface WasmProgram {
  readonly kernels: readonly Kernel[];
  readonly steps: readonly WasmStep[];
  readonly memory: MemoryImport;
  readonly threads: number;
  /** Where the tables of each kernel lie, `tableBytes` bytes. */
  readonly tables: readonly number[];
  /** Scratch memory of thread t lies at `address + t · stride`. */
  readonly scratch: { readonly address: number; readonly stride: number };
  /** Address of the control words (executor.ts), zero at the start; unused if memory is not shared. */
  readonly control: number;
}
