import { invalidArgument } from '../core/errors.ts';
import type { RandomStream } from '../core/random.ts';
import { resize } from '../runtime/image/resize.ts';
import { resizeAndCrop } from '../runtime/image/transform.ts';
import { jitterColours } from './augment/colour-jitter.ts';
import { padAndCrop } from './augment/crop.ts';
import { eraseRandomly } from './augment/erase.ts';
import { flipHorizontally } from './augment/flip.ts';
import { toRgb, withChannels } from './augment/grey.ts';
import { normalisation, normalise } from './augment/normalise.ts';
import { randAugment } from './augment/rand-augment.ts';
import { randomPart } from './augment/random-resized-crop.ts';
import type { PixelImage, ReadOptions, Sample } from './dataset.ts';
import { decodePart, decodeSample } from './decode.ts';
import { completeTransform } from './transform-options.ts';
import type { CompleteTransform, CropOptions, TransformOptions } from './transform-options.ts';

const CLASSIC_AREA = [0.08, 1] as const;
const CLASSIC_RATIO = [3 / 4, 4 / 3] as const;

/** What `createAugmentation` makes of options: a function from samples to values. */
export interface Augmentation {
  /** Of one result: [height, width, channels]. */
  readonly shape: readonly [height: number, width: number, channels: 1 | 3];
  readonly options: CompleteTransform;
  /**
   * Decodes a sample and writes what the network sees of it to `out`, of height · width · channels values. What is
   * random comes from `random` alone.
   *
   * Throws `invalid-argument` if the sample is damaged, or does not have the size that the options expect.
   */
  apply(sample: Sample, random: RandomStream, out: Float32Array, options?: ReadOptions): Promise<void>;
}

/**
 * Crop, flip, RandAugment, colour jitter, normalisation, random erasing, in this order, which is timm's.
 *
 * Throws `invalid-argument` for options that make no sense.
 */
export function createAugmentation(options: TransformOptions): Augmentation {
  const complete = completeTransform(options);
  const { height, width, channels, mean, std, erase } = complete;
  const table = normalisation(mean, std);
  return {
    shape: [height, width, channels],
    options: complete,
    async apply(sample, random, out, decodeOptions = {}) {
      const cropped = withChannels(await crop(sample, complete, random, decodeOptions), channels);
      checkSize(sample, cropped, complete);
      normalise(changeLooks(cropped, complete, random), table, out);
      if (erase) eraseRandomly(out, height, width, erase, random);
    },
  };
}

/** What of the sample the network sees, before its looks are changed. */
async function crop(
  sample: Sample,
  { crop: options, width, height }: CompleteTransform,
  random: RandomStream,
  decodeOptions: ReadOptions,
): Promise<PixelImage> {
  switch (options.kind) {
    case 'none':
      return decodeSample(sample, decodeOptions);
    case 'pad': {
      const { padding = 4, fill = 0 } = options;
      return padAndCrop(await decodeSample(sample, decodeOptions), width, height, padding, fill, random);
    }
    case 'random-resized': {
      const {
        area = CLASSIC_AREA,
        ratio = CLASSIC_RATIO,
        interpolation = 'bicubic',
        exact = false,
      } = options;
      const choose = (w: number, h: number) => randomPart(w, h, area, ratio, random);
      return decodePart(sample, choose, { width, height, interpolation, exact }, decodeOptions);
    }
    case 'centre':
      return cropCentre(await decodeSample(sample, decodeOptions), width, height, options);
  }
}

function cropCentre(
  image: PixelImage,
  width: number,
  height: number,
  { resize: short, interpolation = 'bicubic' }: CropOptions & { readonly kind: 'centre' },
): PixelImage {
  if (short === 'warp') return { ...resize(toRgb(image), width, height, interpolation), channels: 3 };
  const transform = { resize: short ?? Math.floor((width * 256) / 224), crop: width, interpolation };
  return { ...resizeAndCrop(toRgb(image), { ...transform, mean: [0, 0, 0], std: [1, 1, 1] }), channels: 3 };
}

/** Everything that works on pixels of 8 bits. */
function changeLooks(image: PixelImage, options: CompleteTransform, random: RandomStream): PixelImage {
  const { flip, randAugment: policy, colourJitter, mean } = options;
  let result = image;
  if (flip > 0 && random.chance(flip)) result = flipHorizontally(result);
  if (policy) {
    const fill = mean.map((value) => Math.min(255, Math.max(0, Math.round(255 * value))));
    result = randAugment(result, policy, { fill, interpolation: interpolationOf(options) }, random);
  }
  return colourJitter ? jitterColours(result, colourJitter, random) : result;
}

/** Movements interpolate as the crop does. */
function interpolationOf({ crop: options }: CompleteTransform): 'bilinear' | 'bicubic' {
  const resizes = options.kind === 'random-resized' || options.kind === 'centre';
  return (resizes ? options.interpolation : undefined) ?? 'bicubic';
}

function checkSize(sample: Sample, image: PixelImage, { width, height }: CompleteTransform): void {
  if (image.width === width && image.height === height) return;
  throw invalidArgument(
    `${sample.name} is ${image.width} × ${image.height} pixels, not ${width} × ${height}: choose a crop that resizes.`,
  );
}
