import { throwIfAborted } from '../core/errors.ts';
import { RandomStream } from '../core/random.ts';
import type { Engine } from './engine.ts';

/** Times of one engine in a comparison. */
export interface Timing<E extends Engine = Engine> {
  readonly engine: E;
  readonly runs: number;
  readonly medianMs: number;
  readonly minMs: number;
  /** Interquartile range. */
  readonly spreadMs: number;
}

export interface CompareOptions<E extends Engine = Engine> {
  /** Least time that each engine is measured for, unless its runs are very slow. */
  readonly seconds: number;
  readonly signal?: AbortSignal;
  /** Called after each turn with the part of the work that is done, 0 to 1. */
  readonly onProgress?: (done: number) => void;
  /** Called for an engine that fails, which is then left out; default: the comparison fails. */
  readonly onFailure?: (engine: E, error: unknown) => void;
  /** Waits until the threads of the engine that ran last have come to rest. */
  readonly settle?: () => Promise<void>;
}

const MIN_RUNS = 20;
/** An engine that has taken this many times `seconds` stops early, but not before so many runs. */
const PATIENCE = 10;
const MIN_SLOW_RUNS = 5;
/** Runs of one turn take about so long, so that the engines alternate often. */
const TURN_MS = 25;
const MAX_TURN_RUNS = 100;
/** Warm-up ends when two runs in a row agree this well, or at its limits. */
const WARM_AGREEMENT = 1.2;
const WARM_MAX_RUNS = 30;
const WARM_MAX_MS = 2000;
/** Of the order of turns. */
const ORDER_SEED = 0;

interface State<E extends Engine = Engine> {
  readonly engine: E;
  readonly times: number[];
  spentMs: number;
  /** Expected time of a run, from the warm-up. */
  readonly expectedMs: number;
}

/**
 * Times engines against each other: after a warm-up they take turns, each round in a random order that is always
 * the same, so that whatever else the machine does hits all alike, and none always follows the same one. Each turn
 * starts with a run that does not count, because the engine before has left caches and threads in its own state.
 *
 * An engine is done after 20 runs and `seconds`; very slow ones after ten times `seconds` and 5 runs.
 */
export async function compare<E extends Engine>(
  engines: readonly E[],
  options: CompareOptions<E>,
): Promise<Timing<E>[]> {
  const { seconds, signal, onProgress, onFailure, settle = waitForIdle } = options;
  let states: State<E>[] = [];
  const attempt = async (engine: E, work: () => Promise<void>): Promise<void> => {
    throwIfAborted(signal);
    try {
      await work();
    } catch (error) {
      throwIfAborted(signal);
      if (onFailure === undefined) throw error;
      states = states.filter((state) => state.engine !== engine);
      onFailure(engine, error);
    }
    await settle();
  };
  for (const engine of engines) {
    await attempt(engine, async () => {
      states.push({ engine, times: [], spentMs: 0, expectedMs: await warmUp(engine) });
    });
  }
  const random = new RandomStream(ORDER_SEED);
  while (states.some((state) => !isDone(state, seconds))) {
    const round = states;
    for (const i of random.shuffle([...round.keys()], 0, round.length)) {
      const state = round[i];
      if (state === undefined || isDone(state, seconds)) continue;
      await attempt(state.engine, () => takeTurn(state));
      onProgress?.(
        states.reduce((sum, each) => sum + progress(each, seconds), 0) / Math.max(states.length, 1),
      );
    }
  }
  return states.map(summarize);
}

async function warmUp(engine: Engine): Promise<number> {
  let last = Infinity;
  let total = 0;
  for (let i = 0; i < WARM_MAX_RUNS && total < WARM_MAX_MS; i++) {
    const [now = 0] = await engine.time(1);
    total += now;
    const agrees = Math.max(now, last) <= WARM_AGREEMENT * Math.min(now, last);
    last = now;
    if (agrees && i >= 2) break;
  }
  return last;
}

async function takeTurn(state: State): Promise<void> {
  const slow = state.expectedMs > TURN_MS;
  const runs = slow ? 1 : Math.min(MAX_TURN_RUNS, Math.ceil(TURN_MS / Math.max(state.expectedMs, 1e-3)));
  // A slow engine's own run refreshes the caches within a small part of its time.
  const times = slow ? await state.engine.time(1) : (await state.engine.time(runs + 1)).slice(1);
  state.times.push(...times);
  state.spentMs += times.reduce((sum, time) => sum + time, 0);
}

function isDone({ times, spentMs }: State, seconds: number): boolean {
  const spent = spentMs / 1000;
  return (
    (times.length >= MIN_RUNS && spent >= seconds) ||
    (times.length >= MIN_SLOW_RUNS && spent >= PATIENCE * seconds)
  );
}

/** By whichever of the two ways of being done is nearer. */
function progress({ times, spentMs }: State, seconds: number): number {
  const part = (value: number, goal: number): number => (goal > 0 ? Math.min(1, value / goal) : 1);
  const spent = spentMs / 1000;
  return Math.max(
    Math.min(part(times.length, MIN_RUNS), part(spent, seconds)),
    Math.min(part(times.length, MIN_SLOW_RUNS), part(spent, PATIENCE * seconds)),
  );
}

function summarize<E extends Engine>({ engine, times }: State<E>): Timing<E> {
  const sorted = [...times].sort((a, b) => a - b);
  return {
    engine,
    runs: sorted.length,
    medianMs: quantile(sorted, 0.5),
    minMs: sorted[0] ?? NaN,
    spreadMs: quantile(sorted, 0.75) - quantile(sorted, 0.25),
  };
}

/** Linear interpolation between the order statistics around `part · (n − 1)`. */
export function quantile(sorted: readonly number[], part: number): number {
  const position = part * (sorted.length - 1);
  const below = sorted[Math.floor(position)] ?? NaN;
  const above = sorted[Math.ceil(position)] ?? NaN;
  return below + (above - below) * (position - Math.floor(position));
}

const IDLE_SLICE_MS = 4;
const IDLE_SLICES = 25;

/**
 * Waits until this process uses little processor time, at most 0.1 s: thread pools such as onnxruntime's go
 * on spinning for some 20 ms after a run, which would slow down whoever runs next. PyTorch's process does the same
 * before it tells its times.
 */
async function waitForIdle(): Promise<void> {
  for (let i = 0; i < IDLE_SLICES; i++) {
    const before = process.cpuUsage();
    await new Promise((resolve) => setTimeout(resolve, IDLE_SLICE_MS));
    const { user, system } = process.cpuUsage(before);
    if ((user + system) / 1000 < IDLE_SLICE_MS / 4) return;
  }
}
