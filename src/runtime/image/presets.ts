import { invalidArgument } from '../../core/errors.ts';
import type { KeySet, ModelVariant } from '../../models/model.ts';
import { evalTransform, sidesOf } from './transform.ts';
import type { EvalTransform, Rgb } from './transform.ts';
import type { Interpolation } from './resize.ts';

/**
 * Names tell whose training and evaluation a checkpoint comes from. Only ConvNeXt's transforms differ: official ones keep
 * the ratio 224 / 256 below 384 pixels, timm's see more of the photo at 288.
 */
type Preset = (resolution: number, keys: KeySet) => EvalTransform;

/** timm's IMAGENET_INCEPTION_MEAN and _STD. */
const HALVES: Rgb = [0.5, 0.5, 0.5];

/** `datasets.py` of ConvNeXt, and with it RepLKNet and SLaK: shorter side · 256 / 224, or a warp from 384 up. */
const official: Preset = (resolution) => evalTransform(resolution, { warp: resolution >= 384 });

/** RepLKNet-XL was trained on MegData-73M with its own mean and deviation (README of RepLKNet-pytorch). */
const replknetXl: Preset = (resolution) =>
  evalTransform(resolution, { warp: resolution >= 384, mean: HALVES, std: HALVES });

/** Official ConvNeXt; timm's configurations of the same weights: 0.875 at 224, 1 at 288, `squash` at 384. */
const convnext: Preset = (resolution, keys) =>
  keys === 'official' || resolution <= 224 || resolution >= 384
    ? official(resolution, keys)
    : evalTransform(resolution, { cropRatio: 1 });

/** Sizes that only timm has weights of: one crop ratio at the training resolution of 224, another above. */
const timmConvnext =
  (trainRatio: number, testRatio: number): Preset =>
  (resolution) =>
    evalTransform(resolution, { cropRatio: resolution <= 224 ? trainRatio : testRatio });

/**
 * torchvision's `IMAGENET1K_V1` weights: `resize` → `crop` as published; the same ratio at other resolutions. (The
 * `IMAGENET1K_V2` weights of ResNet and MobileNetV2 want `{ ...transform, resize: 232 }`.)
 */
const torchvision =
  (resizeSize: number, cropSize: number, interpolation: Interpolation): Preset =>
  (resolution) => ({
    ...evalTransform(resolution, { interpolation }),
    resize: Math.round((resolution * resizeSize) / cropSize),
  });

const PRESETS: ReadonlyMap<string, Preset> = new Map([
  ['replknet-3b', official],
  ['replknet-7b', official],
  ['replknet-13b', official],
  ['replknet-25b', official],
  ['replknet-31b', official],
  ['replknet-31l', official],
  ['replknet-xl', replknetXl],
  ['slak-tiny', official],
  ['slak-small', official],
  ['slak-base', official],
  ['convnext-femto', timmConvnext(0.875, 0.95)],
  ['convnext-pico', timmConvnext(0.875, 0.95)],
  ['convnext-nano', timmConvnext(0.95, 1)],
  ['convnext-tiny', convnext],
  ['convnext-small', convnext],
  ['convnext-base', convnext],
  ['convnext-large', convnext],
  // No weights are published: the customary crop.
  ['convfirst-pico', official],
  ['convfirst-nano', official],
  ['convfirst-tiny', official],
  ['convfirst-small', official],
  ['resnet-50', torchvision(256, 224, 'bilinear')],
  ['resnet-101', torchvision(256, 224, 'bilinear')],
  ['mobilenet-v2', torchvision(256, 224, 'bilinear')],
  ['efficientnet-b0', torchvision(256, 224, 'bicubic')],
  ['efficientnet-b1', torchvision(256, 240, 'bicubic')],
  ['efficientnet-b2', torchvision(288, 288, 'bicubic')],
  ['efficientnet-b3', torchvision(320, 300, 'bicubic')],
  ['efficientnet-b4', torchvision(384, 380, 'bicubic')],
  ['efficientnet-b5', torchvision(456, 456, 'bicubic')],
  ['efficientnet-v2-s', torchvision(384, 384, 'bilinear')],
]);

/**
 * How the authors of a model's weights prepare photos for it, at a resolution in pixels.
 *
 * @param modelName as on the command line, such as `replknet-31b`
 * @param keys whose weights they are
 * Throws `invalid-argument` for unknown names and impossible resolutions.
 */
export function transformFor(
  modelName: string,
  resolution: number,
  keys: KeySet = 'official',
): EvalTransform {
  const preset = PRESETS.get(modelName);
  if (preset === undefined) {
    throw invalidArgument(
      `How to prepare photos for ${modelName} is not known: use one of ${[...PRESETS.keys()].join(', ')}, or give a transform.`,
    );
  }
  return preset(resolution, keys);
}

/** Whether it is known how the authors of a model's weights prepare photos. */
export function hasTransform(modelName: string): boolean {
  return PRESETS.has(modelName);
}

/**
 * How photos are prepared for a network: as its authors do it or as its file says, else in the usual way. A rectangle
 * takes the same share of a photo of its shape as a square with its shorter side takes of a square one.
 *
 * Throws `invalid-argument` for impossible resolutions.
 */
export function photoTransform(
  { name, photos }: Pick<ModelVariant, 'name' | 'photos'>,
  resolution: EvalTransform['crop'],
  keys: KeySet = 'official',
): EvalTransform {
  const side = Math.min(...sidesOf(resolution));
  const usual = (): EvalTransform =>
    hasTransform(name) ? transformFor(name, side, keys) : evalTransform(side);
  return { ...(photos === undefined ? usual() : atResolution(photos, side)), crop: resolution };
}

/** The same part of the photo in other pixels. */
function atResolution(transform: EvalTransform, side: number): EvalTransform {
  const { resize, crop } = transform;
  const scaled = resize === 'warp' ? resize : Math.round((resize * side) / Math.min(...sidesOf(crop)));
  return { ...transform, crop: side, resize: scaled };
}
