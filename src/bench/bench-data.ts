import type { Dataset } from '../data/dataset.ts';
import { loadBatches } from '../data/loader.ts';
import type { LoadOptions } from '../data/loader.ts';
import { openDataWorkers } from '../data/workers.ts';

export interface LoaderBenchOptions extends Pick<
  LoadOptions,
  'batchSize' | 'transform' | 'seed' | 'onCorrupt' | 'signal'
> {
  /** Threads that decode and augment; 0: this one. */
  readonly workers: number;
  /** Least time that is measured. */
  readonly seconds: number;
  /** Called after each batch with the part of the work that is done, 0 to 1. */
  readonly onProgress?: (done: number) => void;
}

/** How quickly a loader prepares images. */
export interface LoaderRate {
  readonly images: number;
  readonly seconds: number;
  readonly imagesPerSecond: number;
  /** Processors that were busy in the mean, with what reads files and takes batches. */
  readonly cores: number;
  readonly imagesPerCoreSecond: number;
}

/**
 * Prepares batches as training does, in random order and epoch after epoch. Time starts with the first batch, when threads
 * have started and the decoder is there.
 * Throws what {@link loadBatches} throws.
 */
export async function measureLoader(
  dataset: Dataset,
  { workers, seconds, onProgress, ...options }: LoaderBenchOptions,
): Promise<LoaderRate> {
  const pool = workers > 0 ? await openDataWorkers(workers) : undefined;
  try {
    let start: { readonly time: number; readonly cpu: NodeJS.CpuUsage } | undefined;
    let images = 0;
    for (let epoch = 0; ; epoch++) {
      const batches = loadBatches(dataset, {
        ...options,
        epoch,
        shuffle: true,
        reuse: true,
        workers: pool ?? 0,
      });
      for await (const { size } of batches) {
        if (start === undefined) {
          start = { time: performance.now(), cpu: process.cpuUsage() };
          continue;
        }
        images += size;
        const elapsed = (performance.now() - start.time) / 1000;
        onProgress?.(Math.min(1, elapsed / seconds));
        if (elapsed < seconds) continue;
        const { user, system } = process.cpuUsage(start.cpu);
        const busy = (user + system) / 1e6;
        return {
          ...{ images, seconds: elapsed, imagesPerSecond: images / elapsed },
          ...{ cores: busy / elapsed, imagesPerCoreSecond: images / busy },
        };
      }
    }
  } finally {
    await pool?.close();
  }
}
