import { WidefieldError } from '../../core/errors.ts';

/** Runs the steps of one compiled program in one memory, one call at a time. */
export interface StepRunner {
  /**
   * Runs steps `first … end - 1`; false if the signal stopped it between two of them.
   * Rejects with `device-lost` if a thread fails.
   */
  run(first: number, end: number, signal: AbortSignal | undefined): Promise<boolean>;
  /** The same, with the milliseconds that each step took; undefined if the signal stopped it. */
  profile(first: number, end: number, signal: AbortSignal | undefined): Promise<number[] | undefined>;
  /** Forgets the program; no thread touches its memory any more when this resolves. Never rejects. */
  release(): Promise<void>;
}

/** What executes programs: worker threads, or the calling thread. */
export interface Backend {
  readonly threads: number;
  readonly sharedMemory: boolean;
  /** Makes a program ready to run. `control` is the byte address of its control words. */
  attach(module: WebAssembly.Module, memory: WebAssembly.Memory, control: number): Promise<StepRunner>;
  dispose(): Promise<void>;
}

export function deviceLost(cause: unknown): WidefieldError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new WidefieldError(
    'device-lost',
    `A thread of the wasm device stopped working (${reason}): open the device again.`,
    { cause },
  );
}
