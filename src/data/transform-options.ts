import { invalidArgument } from '../core/errors.ts';
import { IMAGENET_MEAN, IMAGENET_STD } from '../runtime/image/transform.ts';
import type { Interpolation } from '../runtime/image/resize.ts';
import type { ColourJitterOptions } from './augment/colour-jitter.ts';
import type { PaddingFill } from './augment/crop.ts';
import type { EraseOptions } from './augment/erase.ts';
import { parseRandAugment } from './augment/rand-augment.ts';
import type { RandAugmentOptions } from './augment/rand-augment.ts';
import type { Range } from './augment/random-resized-crop.ts';

/** How an image comes to the size that the network sees. */
export type CropOptions =
  /** All images have that size already. */
  | { readonly kind: 'none' }
  /** `padding` pixels around the image (default 4), then a part of it at random. Default fill: 0. */
  | { readonly kind: 'pad'; readonly padding?: number; readonly fill?: PaddingFill }
  /**
   * A random part, resized. Defaults: 8 to 100% of the area, ratio of width to height 3/4 to 4/3, bicubic. JPEGs are cut
   * and resized by the decoder, whose values differ from Pillow's by little; `exact` makes them the same, slower.
   */
  | {
      readonly kind: 'random-resized';
      readonly area?: Range;
      readonly ratio?: Range;
      readonly interpolation?: Interpolation;
      readonly exact?: boolean;
    }
  /**
   * For evaluation: the shorter side becomes `resize` pixels, then the centre is cut out. Default: ⌊size · 256 / 224⌋,
   * bicubic. `warp`: both sides become the size, and nothing is cut off.
   */
  | { readonly kind: 'centre'; readonly resize?: number | 'warp'; readonly interpolation?: Interpolation };

/** What happens to an image on its way to the network. Plain data, so that worker threads can be told. */
export interface TransformOptions {
  /** What the network sees, in pixels: a square's side, or height and width. */
  readonly size: number | readonly [height: number, width: number];
  /** Grey or RGB; images of the other kind are converted. Default 3. */
  readonly channels?: 1 | 3;
  /** Default: `centre`. */
  readonly crop?: CropOptions;
  /** Probability of being mirrored left to right; default 0. */
  readonly flip?: number;
  /** In timm's notation, such as `rand-m9-mstd0.5-inc1`, or as options. */
  readonly randAugment?: string | RandAugmentOptions;
  /** One number stands for brightness, contrast and saturation. */
  readonly colourJitter?: number | ColourJitterOptions;
  /** Of channels between 0 and 1, one number each. Default: ImageNet's for RGB, 0.5 for grey. */
  readonly mean?: readonly number[];
  readonly std?: readonly number[];
  /** After normalisation. A number is the probability. */
  readonly erase?: number | EraseOptions;
}

/** Transform options, checked, with all defaults. */
export interface CompleteTransform {
  readonly height: number;
  readonly width: number;
  readonly channels: 1 | 3;
  readonly crop: CropOptions;
  readonly flip: number;
  readonly randAugment: RandAugmentOptions | undefined;
  readonly colourJitter: ColourJitterOptions | undefined;
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly erase: EraseOptions | undefined;
}

/** Larger images than this are mistakes. */
const MAX_SIDE = 2 ** 14;

/** Throws `invalid-argument` naming the first option that makes no sense. */
export function completeTransform(options: TransformOptions): CompleteTransform {
  const [height, width] = typeof options.size === 'number' ? [options.size, options.size] : options.size;
  for (const side of [height, width]) {
    check(
      Number.isInteger(side) && side > 0 && side <= MAX_SIDE,
      'size',
      side,
      `whole pixels up to ${MAX_SIDE}`,
    );
  }
  const { channels = 3, crop = { kind: 'centre' }, flip = 0, colourJitter, erase } = options;
  check([1, 3].includes(channels), 'channels', channels, '1 or 3');
  checkCrop(crop, height, width);
  checkProbability('flip', flip);
  const mean = options.mean ?? (channels === 3 ? IMAGENET_MEAN : [0.5]);
  const std = options.std ?? (channels === 3 ? IMAGENET_STD : [0.5]);
  for (const [name, values] of Object.entries({ mean, std })) {
    const good = values.length === channels && values.every((value) => Number.isFinite(value));
    check(good, name, `[${values.join(', ')}]`, `${channels} numbers`);
  }
  check(
    std.every((value) => value > 0),
    'std',
    `[${std.join(', ')}]`,
    'above 0',
  );
  return {
    ...{ height, width, channels, crop, flip, mean, std },
    randAugment: completeRandAugment(options.randAugment),
    colourJitter: completeJitter(colourJitter),
    erase: completeErase(erase),
  };
}

function completeRandAugment(options: TransformOptions['randAugment']): RandAugmentOptions | undefined {
  const complete = typeof options === 'string' ? parseRandAugment(options) : options;
  for (const [name, value] of Object.entries(complete ?? {})) {
    if (typeof value === 'number') check(value >= 0, `randAugment.${name}`, value, 'at least 0');
  }
  const { operations = 2 } = complete ?? {};
  check(
    Number.isInteger(operations) && operations <= 100,
    'randAugment.operations',
    operations,
    'at most 100',
  );
  return complete;
}

function completeJitter(options: TransformOptions['colourJitter']): ColourJitterOptions | undefined {
  const complete =
    typeof options === 'number' ? { brightness: options, contrast: options, saturation: options } : options;
  for (const [name, value] of Object.entries<number>({ ...complete })) {
    check(value >= 0 && Number.isFinite(value), `colourJitter.${name}`, value, 'at least 0');
  }
  check((complete?.hue ?? 0) <= 0.5, 'colourJitter.hue', complete?.hue ?? 0, 'at most 0.5');
  return complete;
}

function completeErase(options: TransformOptions['erase']): EraseOptions | undefined {
  const complete = typeof options === 'number' ? { probability: options } : options;
  if (complete === undefined) return undefined;
  checkProbability('erase.probability', complete.probability);
  checkRange('erase.area', complete.area, 1);
  checkRange('erase.ratio', complete.ratio, Infinity);
  const { mode = 'pixel', count = 1 } = complete;
  check(['pixel', 'rand', 'const'].includes(mode), 'erase.mode', mode, 'pixel, rand or const');
  check(Number.isInteger(count) && count > 0 && count <= 1000, 'erase.count', count, 'from 1 to 1000');
  return complete;
}

function checkCrop(crop: CropOptions, height: number, width: number): void {
  if ('interpolation' in crop && crop.interpolation !== undefined) {
    const { interpolation } = crop;
    check(
      ['bilinear', 'bicubic'].includes(interpolation),
      'crop.interpolation',
      interpolation,
      'bilinear or bicubic',
    );
  }
  switch (crop.kind) {
    case 'none':
      return;
    case 'pad': {
      const { padding = 4, fill = 0 } = crop;
      check(
        Number.isInteger(padding) && padding >= 0 && padding <= MAX_SIDE,
        'crop.padding',
        padding,
        'whole pixels',
      );
      check(
        fill === 'reflect' || (fill >= 0 && fill <= 255),
        'crop.fill',
        fill,
        "a pixel value or 'reflect'",
      );
      return;
    }
    case 'random-resized':
      checkRange('crop.area', crop.area, 1);
      checkRange('crop.ratio', crop.ratio, Infinity);
      return;
    case 'centre': {
      const { resize = width } = crop;
      if (resize === 'warp') return;
      check(
        width === height,
        'size',
        `${height} × ${width}`,
        "a square, or the crop resize: 'warp', since the centre is cut out as a square",
      );
      check(
        Number.isInteger(resize) && resize >= width && resize <= MAX_SIDE,
        'crop.resize',
        resize,
        `pixels from the size ${width} to ${MAX_SIDE}, or 'warp'`,
      );
      return;
    }
    default:
      check(
        false,
        'crop.kind',
        String((crop as { kind: unknown }).kind),
        'none, pad, random-resized or centre',
      );
  }
}

function checkProbability(name: string, value: number): void {
  check(value >= 0 && value <= 1, name, value, 'a probability from 0 to 1');
}

function checkRange(name: string, range: Range | undefined, most: number): void {
  if (range === undefined) return;
  const good = range[0] > 0 && range[0] <= range[1] && range[1] <= most;
  check(good, name, `[${range.join(', ')}]`, 'a range [low, high] above 0' + (most === 1 ? ' up to 1' : ''));
}

function check(good: boolean, name: string, value: string | number | boolean, wanted: string): void {
  if (!good) throw invalidArgument(`The transform's ${name} cannot be ${value}: give ${wanted}.`);
}
