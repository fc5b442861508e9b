import { throwIfAborted } from '../core/errors.ts';
import { RandomStream } from '../core/random.ts';
import type { Augmentation } from './augmentation.ts';
import type { Sample } from './dataset.ts';

/** How many samples are decoded at the same time, so that decoder threads have work while values are computed. */
const DECODED_AHEAD = 4;

/** A sample, or why it could not be read. */
export type ReadResult =
  { readonly index: number; readonly sample: Sample } | { readonly index: number; readonly error: string };

/** A sample that is missing from a batch. */
export interface Failure {
  /** Its place in the batch. */
  readonly position: number;
  /** Which sample of the dataset. */
  readonly index: number;
  /** One sentence that names the sample. */
  readonly error: string;
}

export interface PreparedBatch {
  /** [samples, H, W, C]; zero where a sample failed. */
  readonly images: Float32Array<ArrayBuffer>;
  readonly failures: readonly Failure[];
}

/** What, with a sample's index, determines everything random about it. */
export interface Seeds {
  readonly seed: number;
  readonly epoch: number;
}

export interface PrepareOptions {
  /** Memory of a batch that nobody needs any more; used if it is large enough. */
  readonly memory?: ArrayBuffer | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Decodes and augments samples; those that fail do not disturb the others. Throws `aborted`. */
export async function prepareBatch(
  results: readonly ReadResult[],
  augmentation: Augmentation,
  { seed, epoch }: Seeds,
  { memory, signal }: PrepareOptions = {},
): Promise<PreparedBatch> {
  const size = augmentation.shape[0] * augmentation.shape[1] * augmentation.shape[2];
  const length = results.length * size;
  const fits = memory !== undefined && memory.byteLength >= length * Float32Array.BYTES_PER_ELEMENT;
  const images = fits ? new Float32Array(memory, 0, length) : new Float32Array(length);
  const failures: Failure[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    for (let position = next++; position < results.length; position = next++) {
      throwIfAborted(signal);
      const result = results[position];
      if (result === undefined) return;
      const { index } = result;
      const out = images.subarray(position * size, (position + 1) * size);
      try {
        if ('error' in result) throw new Error(result.error);
        const random = new RandomStream(seed, epoch, index);
        await augmentation.apply(result.sample, random, out, signal && { signal });
      } catch (error) {
        throwIfAborted(signal);
        out.fill(0);
        failures.push({ position, index, error: error instanceof Error ? error.message : String(error) });
      }
    }
  };
  await Promise.all(Array.from({ length: DECODED_AHEAD }, work));
  return { images, failures: failures.sort((a, b) => a.position - b.position) };
}
