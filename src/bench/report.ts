import type { BenchCase } from './case.ts';
import type { Timing } from './compare.ts';
import type { Machine } from './machine.ts';

/** One engine's result for one case. */
export interface Row {
  readonly op: string;
  /** `N,H,W,C`, or `rows,inputs,outputs`. */
  readonly shape: string;
  readonly kernel: number | string;
  readonly engine: string;
  readonly device: string;
  readonly threads: number;
  readonly config: string;
  readonly medianMs: number;
  readonly minMs: number;
  /** Interquartile range. */
  readonly spreadMs: number;
  readonly runs: number;
  /** max |y − reference| / max |reference|; null if the output holds something that is not a number. */
  readonly maxRelError: number | null;
  /** Whether the error is small enough for the time to mean anything. */
  readonly correct: boolean;
  /** Of the direct computation: 2 · MACs / median. */
  readonly gflops: number;
  /** The multiply-add peak of the machine as this engine can use it; null where it was not measured. */
  readonly peakGflops: number | null;
  /** Milliseconds of planning, compiling and preparing weights; null for other projects' engines. */
  readonly setupMs: number | null;
  readonly timingIncludes: string;
}

/** What could not be measured, and why. */
export interface Skipped {
  readonly engine: string;
  /** Undefined where the engine is missing altogether. */
  readonly shape?: string;
  readonly kernel?: number | string;
  readonly reason: string;
}

export interface BenchReport {
  readonly machine: Machine & {
    readonly threads: number;
    /** The C compiler of the native device. */
    readonly compiler?: string;
    /** What each Widefield device says of itself: compiler, lanes, features. */
    readonly devices: Readonly<Record<string, string>>;
    /** Versions of the other engines. */
    readonly versions: Readonly<Record<string, string>>;
    readonly date: string;
  };
  readonly rows: readonly Row[];
  readonly skipped: readonly Skipped[];
}

export function row(test: BenchCase, timing: Timing, error: number, limit: number): Row {
  const { engine, medianMs, minMs, spreadMs, runs } = timing;
  return {
    op: test.problem.op,
    shape: test.shape,
    kernel: test.kernel,
    engine: engine.name,
    device: engine.device,
    threads: engine.threads,
    config: engine.config,
    medianMs,
    minMs,
    spreadMs,
    runs,
    maxRelError: Number.isFinite(error) ? error : null,
    correct: error <= limit,
    gflops: (2 * test.macs) / medianMs / 1e6,
    peakGflops: engine.peakGflops ?? null,
    setupMs: engine.setupMs ?? null,
    timingIncludes: engine.timingIncludes,
  };
}
