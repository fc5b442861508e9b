import { abortedError, throwIfAborted } from '../core/errors.ts';

/** What waits for its turn under one signal. */
interface Waiting {
  readonly leaves: Set<() => void>;
  readonly onAbort: () => void;
}

/** Runs asynchronous work one piece after the other, in order. */
export class SerialQueue {
  #tail: Promise<unknown> = Promise.resolve();
  /** What waits under each signal. One listener serves it all: of more than ten Node warns. */
  readonly #waiting = new Map<AbortSignal, Waiting>();

  /**
   * @param signal if it fires before the work has begun, the promise rejects with `aborted` at once, and the work is left
   * out when its turn comes; what has begun is to look at it itself
   */
  add<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (signal === undefined) return this.#append(work);
    return new Promise((resolve, reject) => {
      throwIfAborted(signal);
      const stopListening = this.#listen(signal, () => reject(abortedError(signal)));
      this.#append(() => {
        stopListening();
        throwIfAborted(signal);
        return work();
      }).then(resolve, reject);
    });
  }

  #append<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(work);
    this.#tail = result.catch(() => undefined);
    return result;
  }

  /** Calls `leave` when the signal fires, unless what it returns has been called before. */
  #listen(signal: AbortSignal, leave: () => void): () => void {
    let waiting = this.#waiting.get(signal);
    if (waiting === undefined) {
      const leaves = new Set<() => void>();
      waiting = { leaves, onAbort: () => leaves.forEach((each) => each()) };
      this.#waiting.set(signal, waiting);
      signal.addEventListener('abort', waiting.onAbort);
    }
    const { leaves, onAbort } = waiting;
    leaves.add(leave);
    return () => {
      leaves.delete(leave);
      if (leaves.size > 0) return;
      this.#waiting.delete(signal);
      signal.removeEventListener('abort', onAbort);
    };
  }
}
