import { deviceLost } from './runner.ts';
import type { Backend, StepRunner } from './runner.ts';

/** How long steps may keep the event loop waiting, in milliseconds. */
const SLICE = 8;

/**
 * Runs programs on the calling thread, where memory cannot be shared: a worker's memory would be out of reach of
 * `Executable.view`. Every few milliseconds, before a step of whichever program, the event loop gets its turn.
 */
export function callingThreadBackend(): Backend {
  const turns = new Turns();
  return {
    threads: 1,
    sharedMemory: false,
    attach: async (module, memory) => {
      const instance = await WebAssembly.instantiate(module, { env: { memory } });
      return new CallingThreadRunner(
        instance.exports.run as (first: number, end: number, thread: number) => number,
        turns,
      );
    },
    dispose: () => Promise.resolve(),
  };
}

class CallingThreadRunner implements StepRunner {
  readonly #run: (first: number, end: number, thread: number) => number;
  readonly #turns: Turns;

  constructor(run: (first: number, end: number, thread: number) => number, turns: Turns) {
    this.#run = run;
    this.#turns = turns;
  }

  async run(first: number, end: number, signal: AbortSignal | undefined): Promise<boolean> {
    return (await this.profile(first, end, signal)) !== undefined;
  }

  async profile(first: number, end: number, signal: AbortSignal | undefined): Promise<number[] | undefined> {
    const times: number[] = [];
    for (let step = first; step < end; step++) {
      await this.#turns.giveIfDue();
      if (signal?.aborted) return undefined;
      const begin = performance.now();
      try {
        this.#run(step, step + 1, 0);
      } catch (error) {
        throw deviceLost(error);
      }
      times.push(performance.now() - begin);
    }
    return times;
  }

  release(): Promise<void> {
    // Nothing but this object holds the instance.
    return Promise.resolve();
  }
}

/** Remembers when the event loop had its last turn. */
class Turns {
  #due = performance.now() + SLICE;

  async giveIfDue(): Promise<void> {
    if (performance.now() < this.#due) return;
    await eventLoopTurn();
    this.#due = performance.now() + SLICE;
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
