import { CONTROL_WORDS } from '../../codegen/wasm/executor.ts';
import { WidefieldError } from '../../core/errors.ts';
import { deviceLost } from './runner.ts';
import type { Backend, StepRunner } from './runner.ts';
import type { SpawnWorker, WorkerHost } from './worker-host.ts';
import { WORDS, WORD_COUNT, WORKER_SOURCE } from './worker-source.ts';
import type { ErrorDescription, FromWorker, ToWorker } from './worker-source.ts';

type WaitAsync = (
  words: Int32Array,
  index: number,
  value: number,
) => { readonly async: false } | { readonly async: true; readonly value: Promise<unknown> };

/** A broadcast that waits for an answer of every worker, or a run that waits for its end. */
interface Waiting {
  resolve(): void;
  reject(error: WidefieldError): void;
}

/**
 * Worker threads that run programs together; the calling thread only starts a run and is told of its end, without
 * ever blocking. Runs must not overlap.
 *
 * If one thread fails the others may be waiting for it, so all are ended, and everything that waits or is asked
 * later rejects with the same `device-lost` error.
 */
export class ThreadPool implements Backend {
  readonly threads: number;
  readonly sharedMemory = true;
  readonly #workers: WorkerHost[] = [];
  readonly #control = new Int32Array(new SharedArrayBuffer(4 * WORD_COUNT));
  readonly #waitAsync = (Atomics as { waitAsync?: WaitAsync }).waitAsync;
  readonly #waiting = new Set<Waiting>();
  /** Answers still to come, by the id of the message. */
  readonly #answers = new Map<number, Waiting & { missing: number }>();
  #onDone: () => void = () => undefined;
  #times: Float64Array | undefined;
  #nextId = 1;
  #lost: WidefieldError | undefined;
  #closing = false;

  private constructor(threads: number) {
    this.threads = threads;
  }

  /** Starts the workers. Rejects with `device-lost` if they do not start. */
  static async open(threads: number, spawn: SpawnWorker): Promise<ThreadPool> {
    const pool = new ThreadPool(threads);
    try {
      for (let thread = 0; thread < threads; thread++) {
        const worker = spawn(WORKER_SOURCE, {
          message: (data) => {
            pool.#receive(data as FromWorker);
          },
          lost: (error) => {
            pool.#fail(error);
          },
        });
        worker.keepAlive(false);
        pool.#workers.push(worker);
      }
      const postDone = pool.#waitAsync === undefined;
      await pool.#ask({ type: 'start', id: 0, control: pool.#control, threads, postDone });
      return pool;
    } catch (error) {
      await pool.dispose();
      throw error instanceof WidefieldError ? error : deviceLost(error);
    }
  }

  async attach(module: WebAssembly.Module, memory: WebAssembly.Memory, control: number): Promise<StepRunner> {
    const id = this.#nextId++;
    const cancel = new Int32Array(memory.buffer, control + CONTROL_WORDS.cancel, 1);
    const release = async (): Promise<void> => {
      // A run ends when one thread says so: wait until the others are out of the program, too.
      await this.#ask({ type: 'detach', id: this.#nextId++, program: id }).catch(() => undefined);
    };
    try {
      await this.#ask({ type: 'attach', id, module, memory });
    } catch (error) {
      await release();
      throw error;
    }
    return {
      run: (first, end, signal) => this.#run(id, cancel, first, end, false, signal),
      profile: async (first, end, signal) => {
        if (!(await this.#run(id, cancel, first, end, true, signal))) return undefined;
        return differences(this.#times ?? new Float64Array(0));
      },
      release,
    };
  }

  async dispose(): Promise<void> {
    this.#closing = true;
    this.#rejectAll(new WidefieldError('device-lost', 'This device has been disposed of: open it again.'));
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  /** Runs steps on all threads; true if none was left out. */
  async #run(
    program: number,
    cancel: Int32Array,
    first: number,
    end: number,
    timed: boolean,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    this.#times = undefined;
    if (first >= end) return true;
    const control = this.#control;
    Atomics.store(cancel, 0, signal?.aborted ? 1 : 0);
    const onAbort = (): void => {
      Atomics.store(cancel, 0, 1);
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    control[WORDS.program] = program;
    control[WORDS.first] = first;
    control[WORDS.end] = end;
    control[WORDS.timed] = timed ? 1 : 0;
    control[WORDS.ready] = 0;
    try {
      await this.#wait((waiting) => {
        const run = Atomics.add(control, WORDS.runs, 1);
        this.#onDone = () => {
          // The times travel by message, which may come after the end.
          const complete = !timed || this.#times !== undefined || control[WORDS.cancelled] === 1;
          if (complete && Atomics.load(control, WORDS.done) !== run) waiting.resolve();
        };
        this.#wake();
        const onDone = this.#onDone;
        const listen = (): void => {
          const end = this.#waitAsync?.(control, WORDS.done, run);
          if (end?.async !== true) {
            onDone();
            return;
          }
          void end.value.then(() => {
            // The worker may have woken us late for the run before: then this one is still to end.
            if (Atomics.load(control, WORDS.done) === run) listen();
            else onDone();
          });
        };
        listen();
      });
    } finally {
      this.#onDone = () => undefined;
      signal?.removeEventListener('abort', onAbort);
    }
    return Atomics.load(control, WORDS.cancelled) === 0;
  }

  /** Posts a message and waits until every worker has answered. */
  #ask(message: ToWorker): Promise<void> {
    return this.#wait((waiting) => {
      this.#answers.set(message.id, { ...waiting, missing: this.threads });
      this.#post(message);
    });
  }

  #post(message: ToWorker): void {
    if (this.#lost !== undefined || this.#closing) return;
    this.#workers.forEach((worker, thread) => {
      worker.post({ message, thread });
    });
    Atomics.add(this.#control, WORDS.posted, 1);
    this.#wake();
  }

  #wake(): void {
    Atomics.add(this.#control, WORDS.wake, 1);
    Atomics.notify(this.#control, WORDS.wake);
  }

  /** A promise that `begin` settles, or the loss of a worker. The process stays alive until then. */
  #wait(begin: (waiting: Waiting) => void): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      if (this.#lost !== undefined) {
        reject(this.#lost);
        return;
      }
      const settled = (): void => {
        this.#waiting.delete(waiting);
        if (this.#waiting.size === 0) this.#workers[0]?.keepAlive(false);
      };
      const waiting: Waiting = {
        resolve: () => {
          settled();
          resolve();
        },
        reject: (error) => {
          settled();
          reject(error);
        },
      };
      this.#waiting.add(waiting);
      this.#workers[0]?.keepAlive(true);
      begin(waiting);
    });
  }

  #receive(message: FromWorker): void {
    switch (message.type) {
      case 'ready': {
        const answer = this.#answers.get(message.id);
        if (answer === undefined || --answer.missing > 0) return;
        this.#answers.delete(message.id);
        answer.resolve();
        return;
      }
      case 'refused': {
        const answer = this.#answers.get(message.id);
        this.#answers.delete(message.id);
        const cause = toError(message.error);
        answer?.reject(
          new WidefieldError('compile-failed', `The engine refused generated code: ${cause.message}.`, {
            cause,
          }),
        );
        return;
      }
      case 'times':
        this.#times = message.times;
        this.#onDone();
        return;
      case 'done':
        this.#onDone();
        return;
      case 'failed':
        this.#fail(toError(message.error));
        return;
    }
  }

  #fail(error: Error): void {
    if (this.#lost !== undefined || this.#closing) return;
    for (const worker of this.#workers) void worker.terminate();
    this.#rejectAll(deviceLost(error));
    // Lets go of the promise that waited for the end of the run.
    Atomics.add(this.#control, WORDS.done, 1);
    Atomics.notify(this.#control, WORDS.done);
  }

  /** Rejects whatever waits now or later. */
  #rejectAll(error: WidefieldError): void {
    this.#lost ??= error;
    for (const waiting of [...this.#waiting]) waiting.reject(this.#lost);
    this.#answers.clear();
  }
}

function differences(times: Float64Array): number[] {
  return Array.from(
    { length: Math.max(0, times.length - 1) },
    (_, i) => (times[i + 1] ?? 0) - (times[i] ?? 0),
  );
}

function toError({ name, message, stack }: ErrorDescription): Error {
  return Object.assign(new Error(message), { name, stack });
}
