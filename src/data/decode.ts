import type { Sharp, SharpOptions } from 'sharp';

import { DEFAULT_MAX_PIXELS } from '../runtime/image/image.ts';
import { decodeEncoded } from '../runtime/image/decode-node.ts';
import { resize } from '../runtime/image/resize.ts';
import type { Interpolation, Rectangle } from '../runtime/image/resize.ts';
import { cropPadded } from './augment/crop.ts';
import { toRgb } from './augment/grey.ts';
import { isPixels } from './dataset.ts';
import type { PixelImage, ReadOptions, Sample } from './dataset.ts';
import { readJpegHeader } from './jpeg-header.ts';

/** The pixels of a sample; of encoded ones always RGB. Throws `invalid-argument` if it is damaged. */
export async function decodeSample(sample: Sample, { signal }: ReadOptions = {}): Promise<PixelImage> {
  const { image, name } = sample;
  if (isPixels(image)) return image;
  const encoded = { name, source: image.bytes };
  const rgb = await decodeEncoded(encoded, { maxPixels: DEFAULT_MAX_PIXELS, ...(signal && { signal }) });
  return { ...rgb, channels: 3 };
}

/** How a part of an image becomes width × height pixels. */
export interface PartSize {
  readonly width: number;
  readonly height: number;
  readonly interpolation: Interpolation;
  /** The same bits as Pillow's, even if the decoder could do it quicker. */
  readonly exact: boolean;
}

/**
 * A part of a sample's image, which `choose` picks knowing the image's size, resized.
 *
 * Upright JPEGs are cut, and made smaller, by the decoder: libvips' result is off Pillow's by 0.2 of 255 in the mean,
 * and by 5 at most. What is made larger is cut by the decoder but resized here: there they differ.
 */
export async function decodePart(
  sample: Sample,
  choose: (width: number, height: number) => Rectangle,
  size: PartSize,
  options: ReadOptions = {},
): Promise<PixelImage> {
  const { image } = sample;
  const quick = isPixels(image) ? undefined : await openJpeg(image.bytes);
  if (quick === undefined) {
    const pixels = await decodeSample(sample, options);
    return resizePart(pixels, choose(pixels.width, pixels.height), size);
  }
  const part = choose(quick.width, quick.height);
  const smaller = part.width >= size.width && part.height >= size.height;
  const bySharp = smaller && !size.exact ? size : undefined;
  try {
    const pixels = await quick.read(part, bySharp);
    return bySharp ? pixels : resizePart(pixels, { ...part, left: 0, top: 0 }, size);
  } catch {
    // Decoding it whole bears with the oddities of some cameras, and else tells what is wrong.
    return resizePart(await decodeSample(sample, options), part, size);
  }
}

function resizePart(image: PixelImage, part: Rectangle, size: PartSize): PixelImage {
  const whole = part.width === image.width && part.height === image.height;
  const own = whole ? image : cropPadded(image, part, 0);
  if (own.width === size.width && own.height === size.height) return own;
  return { ...resize(toRgb(own), size.width, size.height, size.interpolation), channels: 3 };
}

/** An image of which parts can be read. */
interface PartReader {
  readonly width: number;
  readonly height: number;
  read(part: Rectangle, size: PartSize | undefined): Promise<PixelImage>;
}

/** A JPEG that is upright and grey or RGB, so that nothing else is to be done about it; else undefined. */
async function openJpeg(bytes: Uint8Array): Promise<PartReader | undefined> {
  const header = readJpegHeader(bytes);
  if (header === undefined || (header.components !== 1 && header.components !== 3)) return undefined;
  const { default: sharp } = await import('sharp');
  const options: SharpOptions = { failOn: 'warning', ignoreIcc: true, limitInputPixels: DEFAULT_MAX_PIXELS };
  if (header.hasExif) {
    const metadata = await sharp(bytes, options)
      .metadata()
      .catch(() => undefined);
    if ((metadata?.orientation ?? 1) !== 1) return undefined;
  }
  const { width, height } = header;
  return { width, height, read: (part, size) => readJpeg(sharp(bytes, options), part, size) };
}

async function readJpeg(jpeg: Sharp, part: Rectangle, size: PartSize | undefined): Promise<PixelImage> {
  const { left, top, width, height } = part;
  const cut = jpeg.extract({ left, top, width, height });
  const kernel = size?.interpolation === 'bilinear' ? 'linear' : 'cubic';
  const resized = size
    ? cut.resize(size.width, size.height, { fit: 'fill', kernel, fastShrinkOnLoad: false })
    : cut;
  const { data, info } = await resized
    .toColourspace('srgb')
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true });
  if (info.channels !== 3) throw new Error(`${info.channels} channels`);
  const pixels = new Uint8Array(data.buffer, data.byteOffset, data.length);
  return { width: info.width, height: info.height, channels: 3, data: pixels };
}
