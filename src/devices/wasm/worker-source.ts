/** Indices of the device's control words, each on a cache line of its own; the command's lie together. */
export const WORDS = {
  /** Changes whenever there is something to do: idle workers sleep on it. */
  wake: 0,
  /** Runs commanded so far. */
  runs: 16,
  /** Messages posted to every worker so far. */
  posted: 32,
  /** Runs finished so far. */
  done: 48,
  /** The run to do: program, first step, end, and whether each step is timed. */
  program: 64,
  first: 65,
  end: 66,
  timed: 67,
  /** Threads that are ready to start a timed run; the host sets it to 0. */
  ready: 68,
  /** Whether the finished run was cancelled. */
  cancelled: 80,
} as const;

export const WORD_COUNT = 96;

/** What workers are told by message. Every message goes to all workers. */
export type ToWorker =
  | {
      readonly type: 'start';
      readonly id: 0;
      readonly control: Int32Array;
      readonly threads: number;
      readonly postDone: boolean;
    }
  | {
      readonly type: 'attach';
      readonly id: number;
      readonly module: WebAssembly.Module;
      readonly memory: WebAssembly.Memory;
    }
  | { readonly type: 'detach'; readonly id: number; readonly program: number };

export interface ErrorDescription {
  readonly name: string;
  readonly message: string;
  readonly stack: string;
}

/** What workers tell. */
export type FromWorker =
  /** Did what message `id` asked for: start, attach (the program goes by the message's number), or detach. */
  | { readonly type: 'ready'; readonly id: number }
  | { readonly type: 'refused'; readonly id: number; readonly error: ErrorDescription }
  /** A run is done; only where the main thread cannot wait for `done` itself. */
  | { readonly type: 'done' }
  /** Milliseconds at which each step of a timed run began and the last one ended. */
  | { readonly type: 'times'; readonly times: Float64Array }
  | { readonly type: 'failed'; readonly error: ErrorDescription };

/**
 * A worker, as plain JavaScript: text survives every bundler, and needs no file at run time.
 *
 * An idle worker sleeps in `Atomics.wait`, which costs a run a few microseconds where a message would cost
 * a hundred. A sleeping worker sees no messages, so it counts those it has handled, and goes back to its event
 * loop while more have been posted.
 */
export const WORKER_SOURCE = `'use strict';
const { parentPort } = globalThis.process?.getBuiltinModule?.('node:worker_threads') ?? {};
const port = parentPort ?? self;
const programs = new Map();
let control, thread, threads, postDone;
let handled = 0;
let ran = 0;

port.onmessage = ({ data }) => {
  handled++;
  try {
    handle(data.message, data.thread);
    idle();
  } catch (error) {
    port.postMessage({ type: 'failed', error: describe(error) });
  }
};

function handle(message, index) {
  if (message.type === 'start') {
    thread = index;
    control = message.control;
    threads = message.threads;
    postDone = message.postDone;
    port.postMessage({ type: 'ready', id: message.id });
  } else if (message.type === 'attach') {
    try {
      const instance = new WebAssembly.Instance(message.module, { env: { memory: message.memory } });
      programs.set(message.id, instance.exports.run);
      port.postMessage({ type: 'ready', id: message.id });
    } catch (error) {
      port.postMessage({ type: 'refused', id: message.id, error: describe(error) });
    }
  } else {
    programs.delete(message.program);
    port.postMessage({ type: 'ready', id: message.id });
  }
}

function idle() {
  for (;;) {
    const wake = Atomics.load(control, ${WORDS.wake});
    if (Atomics.load(control, ${WORDS.runs}) !== ran) {
      ran = (ran + 1) | 0;
      execute();
    } else if (handled < Atomics.load(control, ${WORDS.posted})) {
      return;
    } else {
      Atomics.wait(control, ${WORDS.wake}, wake);
    }
  }
}

function execute() {
  const run = programs.get(control[${WORDS.program}]);
  const first = control[${WORDS.first}];
  const end = control[${WORDS.end}];
  const cancelled = control[${WORDS.timed}] ? runTimed(run, first, end) : run(first, end, thread);
  // No thread is in a kernel any more, though some may still be on their way out of the last barrier: one speaks for all.
  if (thread !== 0) return;
  Atomics.store(control, ${WORDS.cancelled}, cancelled);
  Atomics.store(control, ${WORDS.done}, ran);
  if (postDone) port.postMessage({ type: 'done' });
  else Atomics.notify(control, ${WORDS.done});
}

function runTimed(run, first, end) {
  const times = new Float64Array(end - first + 1);
  // The clock starts when all threads are awake.
  let ready = Atomics.add(control, ${WORDS.ready}, 1) + 1;
  if (ready === threads) Atomics.notify(control, ${WORDS.ready});
  for (; ready < threads; ready = Atomics.load(control, ${WORDS.ready})) Atomics.wait(control, ${WORDS.ready}, ready);
  times[0] = performance.now();
  for (let step = first; step < end; step++) {
    if (run(step, step + 1, thread)) return 1;
    times[step - first + 1] = performance.now();
  }
  if (thread === 0) port.postMessage({ type: 'times', times });
  return 0;
}

function describe(error) {
  return { name: String(error?.name), message: String(error?.message ?? error), stack: String(error?.stack) };
}
`;
