import { WidefieldError, throwIfAborted } from '../core/errors.ts';
import { hashBytes } from '../core/random.ts';
import { isPixels } from '../data/dataset.ts';
import type { Dataset } from '../data/dataset.ts';
import type { TrainData } from './options.ts';

/** Images of a set that are looked at. */
const LOOKS = 16;

/**
 * 32 bits that change with the images of a run: all labels of its sets, and the bytes of some images of each, evenly spaced.
 * A run that is resumed must have the same, else images that were held back might be trained with.
 *
 * Throws `io` if an image cannot be read, and `aborted`.
 */
export async function fingerprint(
  { training, validation }: TrainData,
  signal?: AbortSignal,
): Promise<number> {
  let hash: number | undefined;
  for (const dataset of [training, ...(validation ? [validation] : [])]) {
    const labels = Int32Array.from({ length: dataset.length }, (_, i) => dataset.labelOf(i));
    hash = hashBytes(new Uint8Array(labels.buffer), hash);
    const count = Math.min(LOOKS, dataset.length);
    for (let i = 0; i < count; i++) {
      const index = Math.floor((i * dataset.length) / count);
      hash = hashBytes(await bytesOf(dataset, index, signal), hash);
    }
  }
  return hash ?? 0;
}

/** An image's bytes as they are stored; none of a damaged one. */
async function bytesOf(dataset: Dataset, index: number, signal?: AbortSignal): Promise<Uint8Array> {
  try {
    const { image } = await dataset.read(index, { ...(signal && { signal }) });
    return isPixels(image) ? image.data : image.bytes;
  } catch (error) {
    throwIfAborted(signal);
    if (error instanceof WidefieldError && error.code === 'io') throw error;
    return new Uint8Array();
  }
}
