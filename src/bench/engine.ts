import { throwIfAborted } from '../core/errors.ts';
import type { Precision } from '../runtime/plan.ts';
import type { BlockCase } from './block-case.ts';
import type { BenchCase } from './case.ts';
import type { ModelCase } from './model-case.ts';
import type { KernelTime } from './profile.ts';
import type { LayerCase, LayerPart } from './train-layer-case.ts';
import type { TrainCase } from './train-case.ts';

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

/** Milliseconds of an engine's start. */
export interface Setup {
  /** Building the graph, merging and fusing, choosing kernels. */
  readonly planMs: number;
  /** Compiling kernels, or finding them in the cache, and allocating memory. */
  readonly compileMs: number;
  /** Reading weights and packing them. */
  readonly weightsMs: number;
}

/** Something that computes one network, again and again. Its output are the logits [N, classes], or a map [N, C, H, W]. */
export interface ModelEngine extends Engine {
  /** Arithmetic of matrix products; default float32. */
  readonly precision?: Precision;
  readonly setup?: Setup;
  /** Bytes that the network holds on the device. */
  readonly bytes?: { readonly weights: number; readonly arena: number };
  /** Time of each kernel in one run, where the engine can tell. */
  profile?(): Promise<KernelTime[]>;
  /** Measures `peakGflops` again. */
  measurePeak?(): Promise<number>;
}

/** Something that computes one part of a layer in training: its output, [N, H, W, C], or a gradient. */
export interface LayerEngine extends Engine {
  readonly part: LayerPart;
}

/** A runtime that can make engines: Widefield on one device, or another project's. */
export interface Peer {
  readonly version: string;
  /** Usually one engine; several where a user's choice makes a great difference. */
  prepare(test: BenchCase, signal?: AbortSignal): Promise<Engine[]>;
  /** The same for a whole network; absent if the runtime cannot take one. */
  prepareModel?(test: ModelCase, signal?: AbortSignal): Promise<ModelEngine[]>;
  /** The same for a block by itself; where it is absent, `prepareModel` takes it. */
  prepareBlock?(test: BlockCase, signal?: AbortSignal): Promise<ModelEngine[]>;
  /** All parts of a depthwise layer in training; absent if the runtime has no gradients. */
  prepareLayer?(test: LayerCase, signal?: AbortSignal): Promise<LayerEngine[]>;
  /**
   * A whole step of training: forward, backward, update of all parameters. The engines' `output` are the losses of
   * the first steps, which have been made before the first run.
   */
  prepareTraining?(test: TrainCase, signal?: AbortSignal): Promise<ModelEngine[]>;
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

/** Below this a candidate is timed a few times more; beyond that, its first run decides. */
const QUICK_MS = 300;
const SLOW_MS = 2000;
const QUICK_RUNS = 7;

/**
 * The quickest of several forms of the same computation, so that each peer runs in the form that suits it
 * best. The others are disposed of; forms that fail are passed over, unless all do.
 */
export async function quickest<E extends Engine>(
  makers: readonly (() => Promise<E>)[],
  signal?: AbortSignal,
): Promise<E> {
  const [only] = makers;
  if (only !== undefined && makers.length === 1) return only();
  let best: Trial<E> | undefined;
  let failure: unknown;
  for (const make of makers) {
    throwIfAborted(signal);
    const trial = await tryOut(make);
    if ('failure' in trial) failure ??= trial.failure;
    else if (best === undefined || trial.ms < best.ms) {
      await best?.engine.dispose();
      best = trial;
    } else {
      await trial.engine.dispose();
    }
  }
  throwIfAborted(signal);
  if (best === undefined) {
    throw failure instanceof Error ? failure : new Error('There is nothing to choose among.');
  }
  return best.engine;
}

interface Trial<E extends Engine> {
  readonly engine: E;
  readonly ms: number;
}

async function tryOut<E extends Engine>(
  make: () => Promise<E>,
): Promise<Trial<E> | { readonly failure: unknown }> {
  let engine: E | undefined;
  try {
    engine = await make();
    return { engine, ms: await quickTime(engine) };
  } catch (failure) {
    await engine?.dispose();
    return { failure };
  }
}

async function quickTime(engine: Engine): Promise<number> {
  const [cold = Infinity] = await engine.time(1);
  if (cold > SLOW_MS) return cold;
  const [first = Infinity] = await engine.time(1);
  if (first > QUICK_MS) return first;
  return Math.min(first, ...(await engine.time(QUICK_RUNS)));
}
