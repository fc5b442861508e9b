import type { ExecutorLibrary, RunArguments } from './library.ts';

/**
 * Decides where runs are computed. A thread of their own keeps the event loop free, but the way there and back takes
 * some 20 µs. So steps that were brief the last time are run where they are asked for, though not for long without a
 * turn of the loop: one of these stands for all executables of a device.
 */
export class Pace {
  #blockedMs = 0;

  async run(library: ExecutorLibrary, steps: { lastMs: number }, run: RunArguments): Promise<number> {
    const begin = performance.now();
    const isBrief = steps.lastMs < BRIEF_MS && this.#blockedMs < MOST_BLOCKED_MS;
    const result = isBrief ? library.runHere(run) : await library.run(run);
    const ms = performance.now() - begin;
    // One that was cancelled does not tell how long the next one takes.
    if (result === 0) steps.lastMs = ms;
    this.#blockedMs = isBrief ? this.#blockedMs + ms : 0;
    return result;
  }
}

/** A run that took less may be made on the calling thread. */
const BRIEF_MS = 0.4;
/** So long may runs in a row hold up timers and input. */
const MOST_BLOCKED_MS = 5;
