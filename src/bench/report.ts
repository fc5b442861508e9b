import type { BenchCase } from './case.ts';
import type { Timing } from './compare.ts';
import type { ModelEngine, Setup } from './engine.ts';
import type { Machine } from './machine.ts';
import type { ModelCase } from './model-case.ts';
import type { ModelProfile } from './profile.ts';
import type { Verdict } from './verify-model.ts';

/** What is measured of one engine, whatever it computes. */
export interface Measured {
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

/** One engine's result for one op. */
export interface OpRow extends Measured {
  readonly op: string;
  /** `N,H,W,C`, or `rows,inputs,outputs`. */
  readonly shape: string;
  readonly kernel: number | string;
}

/** One engine's result for one network. `maxRelError` is null also where there is nothing to compare with. */
export interface ModelRow extends Measured {
  readonly model: string;
  /** `N,H,W,C` of the input. */
  readonly shape: string;
  /** The engine whose output is the reference; null for that engine itself, and if there is no other. */
  readonly comparedWith: string | null;
  /** The parts of `setupMs`. */
  readonly setup: Setup | null;
  /** Bytes that the network holds on the device: packed weights, activations; null for other projects' engines. */
  readonly bytes: { readonly weights: number; readonly arena: number } | null;
}

/** What could not be measured, and why. */
export interface Skipped {
  readonly engine: string;
  /** Undefined where the engine is missing altogether. */
  readonly shape?: string;
  readonly kernel?: number | string;
  readonly model?: string;
  readonly reason: string;
}

export interface BenchReport<R extends Measured = OpRow> {
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
  readonly rows: readonly R[];
  readonly skipped: readonly Skipped[];
}

export interface ModelReport extends BenchReport<ModelRow> {
  /** Where the time goes, for each network on each Widefield device; empty unless asked for. */
  readonly profiles: readonly ModelProfile[];
}

export function opRow(test: BenchCase, timing: Timing, error: number, limit: number): OpRow {
  return {
    op: test.problem.op,
    shape: test.shape,
    kernel: test.kernel,
    ...measured(test.macs, timing, {
      maxRelError: Number.isFinite(error) ? error : null,
      correct: error <= limit,
    }),
  };
}

export function modelRow(
  test: ModelCase,
  timing: Timing<ModelEngine>,
  { comparedWith, ...errors }: Verdict,
): ModelRow {
  const { engine } = timing;
  return {
    model: test.model,
    shape: test.shape,
    ...measured(test.macs, timing, errors),
    comparedWith,
    setup: engine.setup ?? null,
    bytes: engine.bytes ?? null,
  };
}

function measured(
  macs: number,
  { engine, medianMs, minMs, spreadMs, runs }: Timing,
  { maxRelError, correct }: Pick<Measured, 'maxRelError' | 'correct'>,
): Measured {
  return {
    engine: engine.name,
    device: engine.device,
    threads: engine.threads,
    config: engine.config,
    medianMs,
    minMs,
    spreadMs,
    runs,
    maxRelError,
    correct,
    gflops: (2 * macs) / medianMs / 1e6,
    peakGflops: engine.peakGflops ?? null,
    setupMs: engine.setupMs ?? null,
    timingIncludes: engine.timingIncludes,
  };
}
