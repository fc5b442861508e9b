import { WidefieldError, invalidArgument, throwIfAborted } from '../../core/errors.ts';
import { fetchImage } from './encoded.ts';
import type { DecodeLimits, EncodedImage } from './encoded.ts';
import { checkSize, dropAlpha } from './rgb.ts';
import type { RgbImage } from './rgb.ts';

/** As decoders for training see an image: upright, its colours as they are stored. */
const AS_STORED: ImageBitmapOptions = {
  imageOrientation: 'from-image',
  colorSpaceConversion: 'none',
  premultiplyAlpha: 'none',
};

/** Decodes in a page or a worker, with what the browser has. What is promised is said at `decodeImage`. */
export async function decodeEncoded(encoded: EncodedImage, limits: DecodeLimits): Promise<RgbImage> {
  const { name } = encoded;
  if (typeof createImageBitmap === 'undefined') {
    throw new WidefieldError('unsupported', 'There is no image decoder here: pass decoded pixels.');
  }
  const blob = await readBlob(encoded, limits.signal);
  if (blob.size === 0) throw invalidArgument(`${name} is empty: get an intact copy.`);
  throwIfAborted(limits.signal);
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(blob, AS_STORED);
  } catch (error) {
    throw new WidefieldError(
      'invalid-argument',
      `${name} cannot be decoded by this browser: it is damaged, too large or of an unknown format.`,
      { cause: error },
    );
  }
  try {
    return decodeBitmap(name, bitmap, limits.maxPixels);
  } finally {
    bitmap.close();
  }
}

/** The pixels of a bitmap, which stays open. */
export function decodeBitmap(name: string, bitmap: ImageBitmap, maxPixels: number): RgbImage {
  const { width, height } = bitmap;
  checkSize(name, width, height, maxPixels);
  const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
  if (context === null) {
    throw new WidefieldError('out-of-memory', `There is no canvas for ${name}, ${width} × ${height} pixels.`);
  }
  context.drawImage(bitmap, 0, 0);
  return { width, height, data: dropAlpha(context.getImageData(0, 0, width, height).data) };
}

async function readBlob(encoded: EncodedImage, signal: AbortSignal | undefined): Promise<Blob> {
  const { name, source } = encoded;
  if (source instanceof Blob) return source;
  if (!(source instanceof Uint8Array)) return new Blob(await fetchImage(name, source, signal));
  // Blobs do not take views of shared memory.
  return new Blob([
    source.buffer instanceof ArrayBuffer
      ? new Uint8Array(source.buffer, source.byteOffset, source.length)
      : source.slice(),
  ]);
}
