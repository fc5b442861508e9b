import { isNode } from '../../core/environment.ts';
import { invalidArgument, throwIfAborted } from '../../core/errors.ts';
import { addressOf, shortName } from '../address.ts';
import type { EncodedImage } from './encoded.ts';
import { checkSize, dropAlpha } from './rgb.ts';
import type { RgbImage, RgbaPixels } from './rgb.ts';

export type { RgbImage, RgbaPixels } from './rgb.ts';

/** `ImageBitmap` in projects that have the types of browsers, nothing in others. */
export type BrowserBitmap = typeof globalThis extends { ImageBitmap: { prototype: infer Bitmap } }
  ? Bitmap
  : never;

/**
 * What can be classified:
 * - pixels: {@link RgbImage}, {@link RgbaPixels}, of which `ImageData` is one, in browsers `ImageBitmap`;
 * - an encoded image: its bytes or a `Blob` (JPEG, PNG, WebP, AVIF, GIF or TIFF; in browsers, what they can decode);
 * - where one is: a `URL`, or a string, which is a path or address under Node and an address in browsers.
 */
export type ImageInput =
  RgbImage | RgbaPixels | BrowserBitmap | string | URL | Uint8Array | ArrayBuffer | Blob;

export interface DecodeOptions {
  /** Larger images are refused, under Node before they are decoded, in browsers behind it; default: 100 million pixels. */
  readonly maxPixels?: number;
  readonly signal?: AbortSignal;
}

export const DEFAULT_MAX_PIXELS = 100e6;

/**
 * The pixels of an image, [height, width, 3]. Of several frames or pages, the first.
 *
 * Turned upright by its EXIF orientation. Otherwise it follows Pillow's `convert('RGB')`, with which networks are
 * trained: grey and palettes are expanded, alpha is dropped, colour profiles are ignored, CMYK is converted
 * plainly. Of 16 bits the high 8 are kept. (The colour of pixels that are fully transparent is lost in browsers,
 * and in GIFs under Node.)
 *
 * Throws `io` if the image cannot be read, `invalid-argument` if it is empty, damaged, no image or too large,
 * `unsupported` if this environment has no decoder, and `aborted`.
 */
export async function decodeImage(input: ImageInput, options: DecodeOptions = {}): Promise<RgbImage> {
  const { maxPixels = DEFAULT_MAX_PIXELS, signal } = options;
  if (!(maxPixels > 0)) throw invalidArgument(`maxPixels must be positive, not ${maxPixels}.`);
  throwIfAborted(signal);
  const limits = { maxPixels, ...(signal && { signal }) };
  const encoded = asEncoded(input);
  let image: RgbImage;
  if (encoded !== undefined) {
    const decoder = isNode() ? await import('./decode-node.ts') : await import('./decode-browser.ts');
    image = await decoder.decodeEncoded(encoded, limits);
  } else if (typeof ImageBitmap !== 'undefined' && input instanceof ImageBitmap) {
    const { decodeBitmap } = await import('./decode-browser.ts');
    image = decodeBitmap('The ImageBitmap', input, maxPixels);
  } else {
    image = fromPixels(input, maxPixels);
  }
  throwIfAborted(signal);
  return image;
}

function asEncoded(input: ImageInput): EncodedImage | undefined {
  if (typeof input === 'string') return { name: shortName(input), source: addressOf(input) ?? input };
  if (input instanceof URL) return { name: shortName(input), source: input };
  if (input instanceof Uint8Array) return { name: 'The image', source: input };
  if (input instanceof ArrayBuffer) return { name: 'The image', source: new Uint8Array(input) };
  if (input instanceof Blob) {
    return {
      name: 'name' in input && typeof input.name === 'string' ? input.name : 'The image',
      source: input,
    };
  }
  return undefined;
}

/** Pixels may come from JavaScript without types, so they are looked at, not trusted. */
function fromPixels(input: unknown, maxPixels: number): RgbImage {
  if (isPixels(input)) {
    const { width, height, data } = input;
    checkSize('The image', width, height, maxPixels);
    if (data.length === width * height * 3) {
      return { width, height, data: new Uint8Array(data.buffer, data.byteOffset, data.length) };
    }
    if (data.length === width * height * 4) return { width, height, data: dropAlpha(data) };
    throw invalidArgument(
      `An image of ${width} × ${height} pixels has 3 or 4 bytes a pixel, but its data has ${data.length} bytes.`,
    );
  }
  throw invalidArgument(
    'An image is a path, URL, Blob, encoded bytes, or an object of width, height and data (8-bit RGB or RGBA).',
  );
}

function isPixels(input: unknown): input is RgbImage | RgbaPixels {
  if (typeof input !== 'object' || input === null) return false;
  if (!('width' in input && 'height' in input && 'data' in input)) return false;
  const { width, height, data } = input;
  const bytes = data instanceof Uint8Array || data instanceof Uint8ClampedArray;
  return typeof width === 'number' && typeof height === 'number' && bytes;
}
