import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { throwIfAborted } from '../core/errors.ts';

export interface WatchOptions {
  readonly steps: number;
  readonly signal?: AbortSignal;
  /** Called now and then. */
  readonly onStep?: (step: number) => void;
}

/** Samples of each of the two tenths; the least counts, because garbage comes and goes. */
const SAMPLES = 10;

/** The least resident memory of the process, in bytes, within the second tenth of many steps, and within the last. */
export async function watchResident(
  step: () => Promise<unknown>,
  { steps, signal, onStep }: WatchOptions,
): Promise<{ readonly first: number; readonly last: number }> {
  const collectGarbage = exposeGarbageCollector();
  const tenth = Math.max(1, Math.floor(steps / 10));
  const every = Math.max(1, Math.floor(tenth / SAMPLES));
  let first = Infinity;
  let last = Infinity;
  for (let i = 1; i <= steps; i++) {
    throwIfAborted(signal);
    await step();
    if (i % every !== 0 && i !== steps) continue;
    onStep?.(i);
    const inFirst = i > tenth && i <= 2 * tenth;
    const inLast = i > steps - tenth;
    if (!inFirst && !inLast) continue;
    collectGarbage();
    const resident = process.memoryUsage.rss();
    if (inFirst) first = Math.min(first, resident);
    if (inLast) last = Math.min(last, resident);
  }
  return { first: Number.isFinite(first) ? first : last, last };
}

/** V8's garbage collector as a function, so that what JavaScript has dropped does not count. */
export function exposeGarbageCollector(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}
