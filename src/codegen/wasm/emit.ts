import type { Kernel } from '../ir.ts';
import { defineExecutor } from './executor.ts';
import { kernelSignature, writeKernel } from './kernel.ts';
import { ModuleWriter } from './module.ts';
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
  /** Scratch memory of thread t lies at `address + t · stride`. */
  readonly scratch: { readonly address: number; readonly stride: number };
  /** Address of the {@link CONTROL_WORDS}, zero at the start; unused if memory is not shared. */
  readonly control: number;
}

export interface EmitWasmOptions {
  /** Uses relaxed SIMD for `fma` on vectors; the engine must have it. */
  readonly relaxed: boolean;
}

/**
 * Encodes a program as one WebAssembly module.
 *
 * The module imports its memory as `env.memory` and exports `run(first, end, thread) → i32`: steps
 * `first … end - 1`, to be called by all threads at once. It returns 1 if it was cancelled between two steps, else 0.
 *
 * Throws `unsupported` for kernels whose `lanes` is not 4.
 */
export function emitWasm(program: WasmProgram, options: EmitWasmOptions): Uint8Array<ArrayBuffer> {
  const module = new ModuleWriter(program.memory);
  const kernels = program.kernels.map((kernel) =>
    module.function(kernel.name, kernelSignature(kernel), (writer) => {
      writeKernel(kernel, writer, options);
    }),
  );
  defineExecutor(module, program, kernels);
  return module.bytes();
}
