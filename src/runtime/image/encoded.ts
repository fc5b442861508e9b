import { WidefieldError, invalidArgument, reasonOf, throwIfAborted } from '../../core/errors.ts';

/** An image that has not been decoded, and what to call it in messages. */
export interface EncodedImage {
  readonly name: string;
  readonly source: string | URL | Uint8Array | Blob;
}

export interface DecodeLimits {
  readonly maxPixels: number;
  readonly signal?: AbortSignal;
}

/** Files beyond this are not images that anybody means to classify; also near the largest buffer. */
const MAX_FILE_BYTES = 2 ** 31 - 1;

/** Throws `invalid-argument` for files that are too large. */
export function checkBytes(name: string, bytes: number): void {
  if (bytes > MAX_FILE_BYTES) throw invalidArgument(`${name} is larger than 2 GiB: shrink the image.`);
}

/**
 * The encoded bytes behind an address, in pieces. Throws `io`, `invalid-argument` if there are too many, and what `look`
 * throws, without reading the rest.
 *
 * @param look called with the pieces so far and their length, until it is content
 */
export async function fetchImage(
  name: string,
  address: string | URL,
  signal: AbortSignal | undefined,
  look: (pieces: readonly Uint8Array[], bytes: number) => boolean = () => true,
): Promise<Uint8Array<ArrayBuffer>[]> {
  try {
    const response = await fetch(address, signal ? { signal } : {});
    if (!response.ok) throw new Error(`${response.status} ${response.statusText}`.trim());
    const reader = response.body?.getReader();
    if (reader === undefined) return [];
    try {
      const pieces: Uint8Array<ArrayBuffer>[] = [];
      let bytes = 0;
      let isContent = false;
      for (let read = await reader.read(); !read.done; read = await reader.read()) {
        pieces.push(read.value);
        bytes += read.value.length;
        checkBytes(name, bytes);
        isContent ||= look(pieces, bytes);
      }
      return pieces;
    } finally {
      await reader.cancel().catch(() => undefined);
    }
  } catch (error) {
    throwIfAborted(signal);
    if (error instanceof WidefieldError) throw error;
    throw new WidefieldError('io', `${name} cannot be fetched (${reasonOf(error)}): check the address.`, {
      cause: error,
    });
  }
}
