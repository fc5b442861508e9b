/**
 * What a device can do, as plain data. Kernels and the planner decide by this alone; nothing asks which
 * device it is.
 */
export interface DeviceCaps {
  /** For people and for keys of measurements: `native`, `wasm`. */
  readonly name: string;
  /** Lane counts that kernels may use, preferred first. */
  readonly lanes: readonly number[];
  /** The most lanes of which a core begins two multiply-adds in a cycle; of wider vectors it begins one. */
  readonly fullRateLanes: number;
  /** Vector registers, for register tiles. */
  readonly vectorRegisters: number;
  /** Whether `fma` is one instruction. */
  readonly fma: boolean;
  /** Whether `dotBf16` is one instruction, so that products of bfloat16 are quicker than those of float32. */
  readonly bf16: boolean;
  /** Threads that run a program. */
  readonly threads: number;
  /** Bytes of the first- and second-level data caches of one core. */
  readonly l1Bytes: number;
  readonly l2Bytes: number;
  /** The most bytes that one executable may hold. */
  readonly maxBytes: number;
  /** Identifies machine and toolchain, for files of measurements. */
  readonly fingerprint: string;
}
