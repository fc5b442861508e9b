import type { RandomStream } from '../../core/random.ts';
import type { Rectangle } from '../../runtime/image/resize.ts';

const ATTEMPTS = 10;

/** Lower and upper limit. */
export type Range = readonly [low: number, high: number];

/**
 * A part of an image as torchvision's RandomResizedCrop picks it: its area a uniformly random fraction of the image's, its
 * ratio of width to height random, uniformly in its logarithm, its place uniform. If ten such parts stick out of the
 * image: the largest part in the centre whose ratio is allowed.
 */
export function randomPart(
  width: number,
  height: number,
  area: Range,
  ratio: Range,
  random: RandomStream,
): Rectangle {
  for (let i = 0; i < ATTEMPTS; i++) {
    const target = width * height * random.uniform(area[0], area[1]);
    const aspect = Math.exp(random.uniform(Math.log(ratio[0]), Math.log(ratio[1])));
    const w = Math.round(Math.sqrt(target * aspect));
    const h = Math.round(Math.sqrt(target / aspect));
    if (w > 0 && w <= width && h > 0 && h <= height) {
      const top = random.below(height - h + 1);
      return { top, left: random.below(width - w + 1), width: w, height: h };
    }
  }
  const own = width / height;
  const w = own > ratio[1] ? Math.round(height * ratio[1]) : width;
  const h = own < ratio[0] ? Math.round(width / ratio[0]) : height;
  return { left: Math.floor((width - w) / 2), top: Math.floor((height - h) / 2), width: w, height: h };
}
