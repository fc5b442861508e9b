import { WidefieldError, throwIfAborted } from '../../core/errors.ts';

/** An image that has not been decoded, and what to call it in messages. */
export interface EncodedImage {
  readonly name: string;
  readonly source: string | URL | Uint8Array | Blob;
}

export interface DecodeLimits {
  readonly maxPixels: number;
  readonly signal?: AbortSignal;
}

/** The encoded bytes behind an address. Throws `io`. */
export async function fetchImage(
  name: string,
  address: string | URL,
  signal: AbortSignal | undefined,
): Promise<Blob> {
  try {
    const response = await fetch(address, signal ? { signal } : {});
    if (!response.ok) throw new Error(`${response.status} ${response.statusText}`.trim());
    return await response.blob();
  } catch (error) {
    throwIfAborted(signal);
    const reason = error instanceof Error ? error.message : String(error);
    throw new WidefieldError('io', `${name} cannot be fetched (${reason}): check the address.`, {
      cause: error,
    });
  }
}
