import { throwIfAborted } from '../core/errors.ts';
import type { BenchCase } from './case.ts';

/** Something that computes one case, again and again. */
export interface Engine {
  /** What the results call it, e.g. `onnxruntime-node`. */
  readonly name: string;
  /** Where it runs: `native` code or `wasm`. */
  readonly device: 'native' | 'wasm';
  /** Threads it uses; may be fewer than asked for. */
  readonly threads: number;
  /** The form and settings that it runs with. */
  readonly config: string;
  /** What lies within the time of one run. */
  readonly timingIncludes: string;
  /** Milliseconds from a problem to an engine that is ready: planning, compiling, preparing weights. */
  readonly setupMs?: number;
  /** The multiply-add peak of the machine as this engine can use it. */
  readonly peakGflops?: number;
  /** Runs so many times; the milliseconds of each. */
  time(iterations: number): Promise<number[]>;
  /** The result of the last run, dense, [N, H, W, C] or [rows, outputs]. */
  output(): Promise<Float32Array>;
  dispose(): Promise<void>;
}

/** A runtime that can make engines: Widefield on one device, or another project's. */
export interface Peer {
  readonly version: string;
  /** Usually one engine; several where a user's choice makes a great difference. */
  prepare(test: BenchCase, signal?: AbortSignal): Promise<Engine[]>;
  dispose(): Promise<void>;
}

export interface PeerOptions {
  readonly threads: number;
  /** The Python interpreter to look for PyTorch in. */
  readonly python?: string;
}

/** `Engine.time` for a function that runs once. */
export function timer(run: () => unknown): Engine['time'] {
  return async (iterations) => {
    const times: number[] = [];
    for (let i = 0; i < iterations; i++) {
      const start = performance.now();
      await run();
      times.push(performance.now() - start);
    }
    return times;
  };
}

/** Below this a candidate is timed a few times more. */
const QUICK_MS = 300;
const QUICK_RUNS = 7;

/**
 * The quickest of several forms of the same computation, so that each peer runs in the form that suits it
 * best. The others are disposed of.
 */
export async function quickest(
  makers: readonly (() => Promise<Engine>)[],
  signal?: AbortSignal,
): Promise<Engine> {
  let best: { readonly engine: Engine; readonly ms: number } | undefined;
  for (const make of makers) {
    throwIfAborted(signal);
    const engine = await make();
    if (makers.length === 1) return engine;
    const ms = await quickTime(engine);
    if (best === undefined || ms < best.ms) {
      await best?.engine.dispose();
      best = { engine, ms };
    } else {
      await engine.dispose();
    }
  }
  if (best === undefined) throw new Error('There is nothing to choose among.');
  return best.engine;
}

async function quickTime(engine: Engine): Promise<number> {
  await engine.time(1);
  const [first = Infinity] = await engine.time(1);
  if (first > QUICK_MS) return first;
  return Math.min(first, ...(await engine.time(QUICK_RUNS)));
}
