import type { Kernel } from '../codegen/ir.ts';
import type { DeviceCaps } from '../core/caps.ts';

/** The three memories of a program. `staging` holds unpacked weights and shares its memory with `arena`. */
export type Region = 'weights' | 'arena' | 'staging';

/** A place in a region, in floats; always a multiple of 16. */
export interface Slot {
  readonly region: Region;
  readonly offset: number;
}

/** One call of a kernel: an index into `Program.kernels`, and a slot for each of its buffers, in order. */
export interface Step {
  readonly kernel: number;
  readonly slots: readonly Slot[];
  /** What profiles show: usually the layer's name. */
  readonly label: string;
}

/**
 * Everything a device needs: distinct kernels, the steps that run every time, and the steps that turn
 * unpacked weights (staging) into packed ones (weights) once.
 */
export interface Program {
  readonly kernels: readonly Kernel[];
  readonly steps: readonly Step[];
  /** Each group is run on its own, after the host has written its inputs to `staging`. */
  readonly prepare: readonly (readonly Step[])[];
  /** Floats in each region. */
  readonly sizes: Readonly<Record<Region, number>>;
}

export interface CompileOptions {
  readonly signal?: AbortSignal;
  /** Called as kernels get ready. */
  readonly onProgress?: (done: number, total: number) => void;
}

export interface RunOptions {
  /**
   * Stops between two kernels; the run then rejects with an `aborted` error. One that waits for others does so at once, and
   * is left out.
   */
  readonly signal?: AbortSignal;
}

/** Time of one step of a profiled run. */
export interface StepTime {
  readonly label: string;
  readonly kernel: string;
  readonly milliseconds: number;
}

/** A compiled program with its memory. Runs of one executable are queued one after the other. */
export interface Executable {
  /**
   * The floats of a region: memory that kernels read and write, not a copy. Valid until `dispose`.
   * Must not be touched while a run is under way.
   */
  view(region: Region): Float32Array;
  /** Runs one group of `program.prepare`. */
  prepare(group: number): Promise<void>;
  /** Runs all steps. Rejects with a {@link WidefieldError} if a thread fails or the signal fires. */
  run(options?: RunOptions): Promise<void>;
  /** Runs all steps and tells the time of each. */
  profile(options?: RunOptions): Promise<StepTime[]>;
  /** Frees code and memory. Waits for a run under way; safe to call twice. */
  dispose(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A machine that runs programs. */
export interface Device {
  readonly caps: DeviceCaps;
  /** One line on why this device was chosen or what it lacks, for people. */
  readonly note: string;
  /**
   * Compiles a program and allocates its memory.
   * Throws `invalid-argument` for steps that do not fit their kernels or regions, `unsupported` for vectors that
   * this device lacks, `compile-failed`, `io` if compiled code cannot be kept, `out-of-memory` (naming the
   * MiB wanted), `device-lost` or `aborted`; nothing stays behind then.
   */
  compile(program: Program, options?: CompileOptions): Promise<Executable>;
  /** Ends the device's threads. Its executables are disposed of first. */
  dispose(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
