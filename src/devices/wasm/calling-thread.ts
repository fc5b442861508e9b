import { deviceLost } from './runner.ts';
import type { Backend, StepRunner } from './runner.ts';

/** How long steps may keep the event loop waiting, in milliseconds. */
const SLICE = 8;

/**
 * Runs programs on the calling thread, where memory cannot be shared: a worker's memory would be out of reach of
 * `Executable.view`. Every few milliseconds, between two steps, the event loop gets its turn.
 */
export function callingThreadBackend(): Backend {
  return {
    threads: 1,
    sharedMemory: false,
    attach: async (module, memory) => {
      const instance = await WebAssembly.instantiate(module, { env: { memory } });
      return new CallingThreadRunner(
        instance.exports.run as (first: number, end: number, thread: number) => number,
      );
    },
    dispose: () => Promise.resolve(),
  };
}

class CallingThreadRunner implements StepRunner {
  readonly #run: (first: number, end: number, thread: number) => number;

  constructor(run: (first: number, end: number, thread: number) => number) {
    this.#run = run;
  }

  async run(first: number, end: number, signal: AbortSignal | undefined): Promise<boolean> {
    return (await this.profile(first, end, signal)) !== undefined;
  }

  async profile(first: number, end: number, signal: AbortSignal | undefined): Promise<number[] | undefined> {
    const times: number[] = [];
    let pause = performance.now() + SLICE;
    for (let step = first; step < end; step++) {
      if (signal?.aborted) return undefined;
      const begin = performance.now();
      try {
        this.#run(step, step + 1, 0);
      } catch (error) {
        throw deviceLost(error);
      }
      const now = performance.now();
      times.push(now - begin);
      if (now >= pause && step + 1 < end) {
        await eventLoopTurn();
        pause = performance.now() + SLICE;
      }
    }
    return times;
  }

  release(): Promise<void> {
    // Nothing but this object holds the instance.
    return Promise.resolve();
  }
}

/** Resolves after other events had their turn; timers would wait four milliseconds in browsers. */
function eventLoopTurn(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}
