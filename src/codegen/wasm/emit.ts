import { addressing } from './addressing.ts';
import { defineExecutor } from './executor.ts';
import { kernelSignature, writeKernel } from './kernel.ts';
import { ModuleWriter } from './module.ts';
import type { WasmProgram } from './program.ts';

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
  const kernels = program.kernels.map((kernel, i) => {
    const tables = program.tables[i] ?? 0;
    const { start } = addressing(kernel);
    for (const { buffer, values } of kernel.tables) module.data(tables + start(buffer), values);
    return module.function(kernel.name, kernelSignature(kernel), (writer) => {
      writeKernel(kernel, writer, { relaxed: options.relaxed, tables });
    });
  });
  defineExecutor(module, program, kernels);
  return module.bytes();
}
