import { parentPort } from 'node:worker_threads';

import { createAugmentation } from './augmentation.ts';
import { prepareBatch } from './prepare.ts';
import type { WorkerReply, WorkerRequest } from './workers.ts';

// The file of a worker thread, so that importing it is what starts it. Batches are done one after the other.

let last = Promise.resolve();

parentPort?.on('message', (request: WorkerRequest) => {
  last = last.then(() => answer(request));
});

async function answer({ id, samples, transform, seeds, memory }: WorkerRequest): Promise<void> {
  try {
    const batch = await prepareBatch(samples, createAugmentation(transform), seeds, { memory });
    parentPort?.postMessage({ id, batch } satisfies WorkerReply, [batch.images.buffer]);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    parentPort?.postMessage({ id, error: message } satisfies WorkerReply);
  }
}
