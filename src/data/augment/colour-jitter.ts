import type { RandomStream } from '../../core/random.ts';
import type { PixelImage } from '../dataset.ts';
import { adjustBrightness, adjustColour, adjustContrast, adjustHue } from './enhance.ts';

/** How far each property may go: factors are uniform in [max(0, 1 − x), 1 + x], turns of the hue in [−x, x]. */
export interface ColourJitterOptions {
  readonly brightness?: number;
  readonly contrast?: number;
  readonly saturation?: number;
  /** At most 0.5, half the circle of hues. */
  readonly hue?: number;
}

/** Changes brightness, contrast, saturation and hue at random and in random order, as torchvision's ColorJitter. */
export function jitterColours(
  image: PixelImage,
  options: ColourJitterOptions,
  random: RandomStream,
): PixelImage {
  const { brightness = 0, contrast = 0, saturation = 0, hue = 0 } = options;
  const factor = (range: number): number => random.uniform(Math.max(0, 1 - range), 1 + range);
  const steps = [
    brightness > 0 && ((now: PixelImage) => adjustBrightness(now, factor(brightness))),
    contrast > 0 && ((now: PixelImage) => adjustContrast(now, factor(contrast))),
    saturation > 0 && ((now: PixelImage) => adjustColour(now, factor(saturation))),
    hue > 0 && ((now: PixelImage) => adjustHue(now, random.uniform(-hue, hue))),
  ];
  let result = image;
  for (const index of random.shuffle(Uint8Array.of(0, 1, 2, 3), 0, 4)) {
    const step = steps[index];
    if (step) result = step(result);
  }
  return result;
}
