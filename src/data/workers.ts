import { existsSync } from 'node:fs';
import { Worker } from 'node:worker_threads';

import { WidefieldError, invalidArgument, throwIfAborted } from '../core/errors.ts';
import { isPixels } from './dataset.ts';
import type { PrepareOptions, PreparedBatch, ReadResult, Seeds } from './prepare.ts';
import type { TransformOptions } from './transform-options.ts';

/** What is sent to a worker thread. */
export interface WorkerRequest {
  readonly id: number;
  readonly samples: readonly ReadResult[];
  readonly transform: TransformOptions;
  readonly seeds: Seeds;
  readonly memory: ArrayBuffer | undefined;
}

/** What it answers. */
export type WorkerReply = { readonly id: number } & (
  { readonly batch: PreparedBatch; readonly error?: undefined } | { readonly error: string }
);

/** Threads that decode and augment; they may serve several epochs and datasets. */
export interface DataWorkers {
  readonly count: number;
  /** Takes memory away from the caller. Throws `aborted`, and `device-lost` if the thread died. */
  prepare(
    samples: readonly ReadResult[],
    transform: TransformOptions,
    seeds: Seeds,
    options?: PrepareOptions,
  ): Promise<PreparedBatch>;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Where the built worker may lie, seen from built files. */
const PLACES = ['./data-worker.js', './node/data-worker.js', '../node/data-worker.js'];

/**
 * Starts threads that decode and augment.
 *
 * @param url the built worker; default: beside Widefield's own files
 * Throws `invalid-argument` unless there is at least one, and `unsupported` if the worker's file is not there, as in a bundle.
 */
export function openDataWorkers(count: number, url: URL = workerUrl()): Promise<DataWorkers> {
  if (!(Number.isInteger(count) && count >= 1))
    return Promise.reject(
      invalidArgument(`There must be at least 1 thread to prepare images, not ${count}.`),
    );
  const threads = Array.from({ length: count }, () => startThread(url));
  const close = async (): Promise<void> => {
    await Promise.all(threads.map((thread) => thread.stop()));
  };
  return Promise.resolve({
    count,
    async prepare(samples, transform, seeds, { memory, signal } = {}) {
      throwIfAborted(signal);
      const idle = threads.reduce((best, thread) => (thread.load() < best.load() ? thread : best));
      const batch = await idle.ask({ samples: samples.map(ownBytes), transform, seeds, memory });
      throwIfAborted(signal);
      return batch;
    },
    close,
    [Symbol.asyncDispose]: close,
  });
}

function workerUrl(): URL {
  const found = PLACES.map((place) => new URL(place, import.meta.url)).find((url) => existsSync(url));
  if (found !== undefined) return found;
  throw new WidefieldError(
    'unsupported',
    'The file data-worker.js of Widefield is not where its other files are: use workers: 0, or leave Widefield out of your bundle.',
  );
}

interface Thread {
  /** How many batches it has to do. */
  load(): number;
  ask(request: Omit<WorkerRequest, 'id'>): Promise<PreparedBatch>;
  stop(): Promise<void>;
}

function startThread(url: URL): Thread {
  const worker = new Worker(url);
  const waiting = new Map<
    number,
    { resolve: (batch: PreparedBatch) => void; reject: (error: Error) => void }
  >();
  let nextId = 0;
  let lost: WidefieldError | undefined;
  const fail = (reason: string, cause?: unknown): void => {
    lost ??= new WidefieldError(
      'device-lost',
      `A thread that prepares images stopped (${reason}): try again.`,
      { cause },
    );
    for (const { reject } of waiting.values()) reject(lost);
    waiting.clear();
    worker.unref();
  };
  worker.on('message', ({ id, ...reply }: WorkerReply) => {
    const task = waiting.get(id);
    waiting.delete(id);
    if (waiting.size === 0) worker.unref(); // an idle thread keeps no process alive
    if (reply.error === undefined) task?.resolve(reply.batch);
    else task?.reject(new WidefieldError('invalid-argument', reply.error));
  });
  worker.on('error', (error) => {
    fail(error.message, error);
  });
  worker.on('exit', () => {
    fail('it ended');
  });
  worker.unref();
  return {
    load: () => waiting.size,
    ask: (request) =>
      new Promise((resolve, reject) => {
        if (lost) {
          reject(lost);
          return;
        }
        const id = nextId++;
        waiting.set(id, { resolve, reject });
        worker.ref();
        worker.postMessage(
          { id, ...request } satisfies WorkerRequest,
          request.memory ? [request.memory] : [],
        );
      }),
    stop: async () => {
      await worker.terminate();
    },
  };
}

/** The sample with bytes of its own: with a part of a buffer, all of the buffer would be sent. */
function ownBytes(result: ReadResult): ReadResult {
  if ('error' in result) return result;
  const { index, sample } = result;
  const { image } = sample;
  return isPixels(image)
    ? { index, sample: { ...sample, image: { ...image, data: new Uint8Array(image.data) } } }
    : { index, sample: { ...sample, image: { bytes: new Uint8Array(image.bytes) } } };
}
