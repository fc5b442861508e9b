import { invalidArgument } from '../../core/errors.ts';
import type { PhotoTransform } from '../../models/model.ts';
import { resize } from './resize.ts';
import type { Interpolation } from './resize.ts';
import type { RgbImage } from './rgb.ts';

/** One number a channel: red, green, blue. */
export type Rgb = readonly [number, number, number];

/** How a network's repository prepares photos for evaluation. */
export type EvalTransform = PhotoTransform;

export const IMAGENET_MEAN: Rgb = [0.485, 0.456, 0.406];
export const IMAGENET_STD: Rgb = [0.229, 0.224, 0.225];

export interface EvalTransformOptions {
  /** Crop / resize; default 224 / 256. */
  readonly cropRatio?: number;
  /** Resize both sides to the resolution, and crop nothing. */
  readonly warp?: boolean;
  readonly interpolation?: Interpolation;
  readonly mean?: Rgb;
  readonly std?: Rgb;
}

/**
 * The usual transform for a network that sees `resolution` × `resolution` pixels: the shorter side becomes
 * ⌊resolution / cropRatio⌋, bicubic, with ImageNet's mean and deviation.
 *
 * Throws `invalid-argument` unless the resolution is a positive integer and 0 < cropRatio ≤ 1.
 */
export function evalTransform(resolution: number, options: EvalTransformOptions = {}): EvalTransform {
  const { cropRatio = 224 / 256, warp = false } = options;
  if (!(Number.isInteger(resolution) && resolution > 0)) {
    throw invalidArgument(`The resolution must be a positive integer, not ${resolution}.`);
  }
  if (!(cropRatio > 0 && cropRatio <= 1)) {
    throw invalidArgument(`The crop ratio must be above 0 and at most 1, not ${cropRatio}.`);
  }
  return {
    resize: warp ? 'warp' : Math.floor(resolution / cropRatio),
    crop: resolution,
    interpolation: options.interpolation ?? 'bicubic',
    mean: options.mean ?? IMAGENET_MEAN,
    std: options.std ?? IMAGENET_STD,
  };
}

/** Height and width of a square's side, or of both. */
export function sidesOf(size: EvalTransform['crop']): readonly [height: number, width: number] {
  return typeof size === 'number' ? [size, size] : size;
}

/** The part that the network sees, still as 8-bit pixels. Throws `invalid-argument` if it is larger than what it is cut from. */
export function resizeAndCrop(image: RgbImage, transform: EvalTransform): RgbImage {
  const { interpolation } = transform;
  const [height, width] = sidesOf(transform.crop);
  const crop = Math.min(height, width);
  const short = transform.resize === 'warp' ? crop : transform.resize;
  if (!([short, height, width].every(Number.isInteger) && crop > 0 && crop <= short)) {
    throw invalidArgument(`${height}×${width} pixels cannot be cut out of an image resized to ${short}.`);
  }
  if (transform.resize === 'warp') return resize(image, width, height, interpolation);
  const resized = covering(image, Math.round((short * width) / crop), Math.round((short * height) / crop));
  return resize(image, resized.width, resized.height, interpolation, {
    left: roundHalfEven((resized.width - width) / 2),
    top: roundHalfEven((resized.height - height) / 2),
    width,
    height,
  });
}

/** The least size in the image's ratio that is nowhere smaller than so many pixels. */
function covering(
  image: RgbImage,
  width: number,
  height: number,
): { readonly width: number; readonly height: number } {
  return image.width * height <= image.height * width
    ? { width, height: Math.trunc((width * image.height) / image.width) }
    : { width: Math.trunc((height * image.width) / image.height), height };
}

/**
 * What the network gets, [height, width, 3] of the crop: (pixel / 255 − mean) / std, each step rounded to float32, as
 * torchvision's `ToTensor` and `Normalize` do.
 */
export function applyTransform(image: RgbImage, transform: EvalTransform): Float32Array {
  const { data } = resizeAndCrop(image, transform);
  const table = normalised(transform);
  const values = new Float32Array(data.length);
  for (let i = 0; i < data.length; i += 3) {
    values[i] = table[data[i] as number] as number;
    values[i + 1] = table[256 + (data[i + 1] as number)] as number;
    values[i + 2] = table[512 + (data[i + 2] as number)] as number;
  }
  return values;
}

/** The normalised value of every pixel value, [3, 256]. */
function normalised({ mean, std }: EvalTransform): Float32Array {
  const { fround } = Math;
  return Float32Array.from({ length: 3 * 256 }, (_, i) => {
    const channel = i >> 8;
    const centred = fround(fround((i & 255) / 255) - fround(mean[channel] ?? 0));
    return centred / fround(std[channel] ?? 1);
  });
}

/** Python's `round`: halves go to the even neighbour. */
function roundHalfEven(x: number): number {
  const rounded = Math.round(x);
  return rounded - x === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}
