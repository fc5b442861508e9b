import { invalidArgument } from '../../core/errors.ts';
import type { RandomStream } from '../../core/random.ts';
import type { Interpolation } from '../../runtime/image/resize.ts';
import type { PixelImage } from '../dataset.ts';
import { rotation, shearX, shearY, transform, translate } from './affine.ts';
import type { Affine, Colour } from './affine.ts';
import { adjustBrightness, adjustColour, adjustContrast, adjustSharpness } from './enhance.ts';
import { autoContrast, equalize, invert, posterize, solarize, solarizeAdd } from './tables.ts';

/** Magnitudes are in tenths. */
const DENOMINATOR = 10;
/** Each chosen operation takes place with this probability. */
const PROBABILITY = 0.5;

/** RandAugment (Cubuk et al. 2019) with timm's parameters. */
export interface RandAugmentOptions {
  /** Strength of the operations; default 10. */
  readonly magnitude?: number;
  /** Standard deviation of the strength, from operation to operation; default 0. `Infinity`: uniform from 0 up. */
  readonly magnitudeStd?: number;
  /** Upper limit of the strength; default 10. */
  readonly magnitudeMax?: number;
  /** How many operations are chosen; default 2. */
  readonly operations?: number;
  /** Whether all operations become stronger with the magnitude; default false, as in timm. */
  readonly increasing?: boolean;
}

/** What operations are done with: where pixels come from outside, and how values between pixels are made. */
export interface OperationContext {
  readonly fill: Colour;
  readonly interpolation: Interpolation;
}

type Operation = (
  image: PixelImage,
  level: number,
  random: RandomStream,
  context: OperationContext,
) => PixelImage;

/** timm's notation: `rand`, then parts such as `m9`, `mstd0.5`, `inc1`, `n2`, `mmax10`, joined by dashes. */
export function parseRandAugment(text: string): RandAugmentOptions {
  const [kind, ...parts] = text.split('-');
  const values = new Map<string, number>();
  for (const part of parts) {
    const [, key = '', number = ''] = /^([a-z]+)(\d+(?:\.\d+)?)$/.exec(part) ?? [];
    if (!['m', 'mstd', 'mmax', 'inc', 'n'].includes(key)) {
      throw invalidArgument(
        `RandAugment has no setting ${part} in ${text}: write it as in rand-m9-mstd0.5-inc1, with m, mstd, mmax, inc and n.`,
      );
    }
    values.set(key, Number(number));
  }
  if (kind !== 'rand')
    throw invalidArgument(`${text} is no RandAugment setting: write it as in rand-m9-mstd0.5-inc1.`);
  const { m, mstd, mmax, inc, n } = Object.fromEntries(values);
  return {
    ...(m !== undefined && { magnitude: m }),
    ...(mstd !== undefined && { magnitudeStd: mstd > 100 ? Infinity : mstd }),
    ...(mmax !== undefined && { magnitudeMax: mmax }),
    ...(inc !== undefined && { increasing: inc !== 0 }),
    ...(n !== undefined && { operations: n }),
  };
}

/**
 * Applies `operations` random operations, with replacement, each with probability ½, its magnitude normally distributed
 * and limited to 0 … the maximum.
 */
export function randAugment(
  image: PixelImage,
  options: RandAugmentOptions,
  context: OperationContext,
  random: RandomStream,
): PixelImage {
  const { magnitude = 10, magnitudeStd = 0, magnitudeMax = DENOMINATOR, operations = 2 } = options;
  const names = options.increasing === true ? INCREASING : DECREASING;
  // All are chosen before the first is applied, as in timm.
  const chosen = Array.from({ length: operations }, () => names[random.below(names.length)] ?? 'Rotate');
  let result = image;
  for (const name of chosen) {
    if (!random.chance(PROBABILITY)) continue;
    const drawn =
      magnitudeStd === Infinity
        ? random.uniform(0, magnitude)
        : magnitudeStd > 0
          ? random.normal(magnitude, magnitudeStd)
          : magnitude;
    result = applyOperation(name, result, Math.max(0, Math.min(magnitudeMax, drawn)), random, context);
  }
  return result;
}

/** One operation at a magnitude, of which 10 is strong. What has two directions takes a random one. */
export function applyOperation(
  name: OperationName,
  image: PixelImage,
  magnitude: number,
  random: RandomStream,
  context: OperationContext,
): PixelImage {
  return OPERATIONS[name](image, magnitude / DENOMINATOR, random, context);
}

function eitherSign(value: number, random: RandomStream): number {
  return random.chance(0.5) ? -value : value;
}

/** An enhancement whose factor is 0.1 … 1.9 as the level goes from 0 to 1. */
const enhance =
  (adjust: (image: PixelImage, factor: number) => PixelImage): Operation =>
  (image, level) =>
    adjust(image, level * 1.8 + 0.1);

/** An enhancement whose factor is up to 0.9 below or above 1, at least 0.1. */
const enhanceEitherWay =
  (adjust: (image: PixelImage, factor: number) => PixelImage): Operation =>
  (image, level, random) =>
    adjust(image, Math.max(0.1, 1 + eitherSign(level * 0.9, random)));

/** A movement; its size, at level 1, is `most`. */
const move =
  (most: number, affine: (size: number, image: PixelImage) => Affine): Operation =>
  (image, level, random, { fill, interpolation }) =>
    transform(image, affine(eitherSign(level * most, random), image), interpolation, fill);

/** By timm's names. The level is the magnitude / 10. */
const OPERATIONS = {
  AutoContrast: autoContrast,
  Equalize: equalize,
  Invert: invert,
  Rotate: move(30, (degrees, { width, height }) => rotation(degrees, width, height)),
  Posterize: (image, level) => posterize(image, Math.trunc(level * 4)),
  PosterizeIncreasing: (image, level) => posterize(image, 4 - Math.trunc(level * 4)),
  Solarize: (image, level) => solarize(image, Math.trunc(level * 256)),
  SolarizeIncreasing: (image, level) => solarize(image, 256 - Math.trunc(level * 256)),
  SolarizeAdd: (image, level) => solarizeAdd(image, Math.trunc(level * 110)),
  Color: enhance(adjustColour),
  ColorIncreasing: enhanceEitherWay(adjustColour),
  Contrast: enhance(adjustContrast),
  ContrastIncreasing: enhanceEitherWay(adjustContrast),
  Brightness: enhance(adjustBrightness),
  BrightnessIncreasing: enhanceEitherWay(adjustBrightness),
  Sharpness: enhance(adjustSharpness),
  SharpnessIncreasing: enhanceEitherWay(adjustSharpness),
  ShearX: move(0.3, shearX),
  ShearY: move(0.3, shearY),
  TranslateXRel: move(0.45, (part, { width }) => translate(part * width, 0)),
  TranslateYRel: move(0.45, (part, { height }) => translate(0, part * height)),
} satisfies Record<string, Operation>;

export type OperationName = keyof typeof OPERATIONS;

const BOTH: readonly OperationName[] = ['AutoContrast', 'Equalize', 'Invert', 'Rotate'];
const MOVES: readonly OperationName[] = ['ShearX', 'ShearY', 'TranslateXRel', 'TranslateYRel'];

const DECREASING: readonly OperationName[] = [
  ...BOTH,
  ...(['Posterize', 'Solarize', 'SolarizeAdd'] as const),
  ...(['Color', 'Contrast', 'Brightness', 'Sharpness'] as const),
  ...MOVES,
];

const INCREASING: readonly OperationName[] = [
  ...BOTH,
  ...(['PosterizeIncreasing', 'SolarizeIncreasing', 'SolarizeAdd'] as const),
  ...(['ColorIncreasing', 'ContrastIncreasing', 'BrightnessIncreasing', 'SharpnessIncreasing'] as const),
  ...MOVES,
];

/** All operations by name, for tests and tables. */
export const OPERATION_NAMES = Object.keys(OPERATIONS) as readonly OperationName[];
