import { blobSource, bytesSource } from '../checkpoints/byte-source.ts';
import { loadCheckpoint } from '../checkpoints/load.ts';
import type { WeightSource } from '../checkpoints/source.ts';
import { isNode } from '../core/environment.ts';
import { invalidArgument } from '../core/errors.ts';
import { addressOf, shortName } from './address.ts';
import { download } from './download.ts';
import type { DownloadOptions } from './download.ts';

/**
 * Where a network's weights come from: a string, which is a path or address under Node and an address in browsers, a
 * `URL`, the bytes of a checkpoint, a Blob or File, an opened source, or `synthetic`.
 */
export type WeightsInput = string | URL | Uint8Array | ArrayBuffer | Blob | WeightSource;

export interface OpenWeightsOptions extends DownloadOptions {
  /** Which part of a checkpoint with several networks: `model`, `model_ema`, … */
  readonly subtree?: string;
  readonly onWarning?: (message: string) => void;
}

/**
 * Opens a checkpoint of any supported format; undefined for `synthetic`.
 * Throws `io` if it cannot be read, `invalid-argument` if it is not a checkpoint, `aborted`.
 */
export async function openWeights(
  weights: WeightsInput,
  options: OpenWeightsOptions = {},
): Promise<WeightSource | undefined> {
  if (weights === 'synthetic') return undefined;
  if (weights instanceof Uint8Array) return loadCheckpoint(bytesSource(weights), options);
  if (weights instanceof ArrayBuffer) return loadCheckpoint(bytesSource(new Uint8Array(weights)), options);
  if (weights instanceof Blob) return loadCheckpoint(blobSource(weights), options);
  const place = typeof weights === 'string' ? (addressOf(weights) ?? weights) : weights;
  if (typeof place === 'string' && isNode()) return openFile(place, options);
  if (place instanceof URL && place.protocol === 'file:') return openFile(place, options);
  if (typeof place === 'string' || place instanceof URL) {
    return loadCheckpoint(bytesSource(await download(place, options), shortName(place)), options);
  }
  if (isSource(place)) return place;
  throw invalidArgument(
    'The weights must be a path, a URL, bytes, a Blob, an opened checkpoint, or `synthetic`.',
  );
}

/** Callers without types may pass anything, or forget the weights. */
function isSource(weights: unknown): weights is WeightSource {
  return typeof weights === 'object' && weights !== null && 'read' in weights && 'entries' in weights;
}

async function openFile(path: string | URL, options: OpenWeightsOptions): Promise<WeightSource> {
  // Imported only when asked for: browsers have no files.
  const { openCheckpoint } = await import('../checkpoints/open.ts');
  return openCheckpoint(path, options);
}
