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
  try {
    return { width, height, data: readPixels(bitmap) };
  } catch (error) {
    throw new WidefieldError(
      'out-of-memory',
      `This browser cannot hold the pixels of ${name}, ${width} × ${height}: shrink it.`,
      { cause: error },
    );
  }
}

/** Browsers limit canvases, on phones to 2²⁴ pixels, and some then give zeros without a word. */
const TILE = 2048;

/** RGB of a bitmap, [height, width, 3], by way of a canvas as large as a tile. */
function readPixels(bitmap: ImageBitmap): Uint8Array {
  const { width, height } = bitmap;
  const rgb = new Uint8Array(width * height * 3);
  const canvas = new OffscreenCanvas(Math.min(width, TILE), Math.min(height, TILE));
  const context = canvas.getContext('2d', { willReadFrequently: true });
  if (context === null) throw new Error('There is no canvas.');
  // Each tile replaces the last one, also where it is translucent.
  context.globalCompositeOperation = 'copy';
  for (let top = 0; top < height; top += TILE) {
    for (let left = 0; left < width; left += TILE) {
      const columns = Math.min(TILE, width - left);
      const rows = Math.min(TILE, height - top);
      context.drawImage(bitmap, -left, -top);
      const tile = dropAlpha(context.getImageData(0, 0, columns, rows).data);
      for (let row = 0; row < rows; row++) {
        const pixels = tile.subarray(row * columns * 3, (row + 1) * columns * 3);
        rgb.set(pixels, ((top + row) * width + left) * 3);
      }
    }
  }
  return rgb;
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
