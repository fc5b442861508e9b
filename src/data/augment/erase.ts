import type { RandomStream } from '../../core/random.ts';
import type { Range } from './random-resized-crop.ts';

const ATTEMPTS = 10;

/** Random erasing (Zhong et al. 2017), as timm does it after normalisation. */
export interface EraseOptions {
  /** How likely an image loses something. */
  readonly probability: number;
  /** What erased pixels become: normal noise, one normally distributed colour, or zero, the mean colour. Default: `pixel`. */
  readonly mode?: 'pixel' | 'rand' | 'const';
  /** Erased part of the image's area; default 0.02 to 1/3. */
  readonly area?: Range;
  /** Ratio of height to width; default 0.3 to 1/0.3. */
  readonly ratio?: Range;
  /** At most so many rectangles, which share the area; default 1. */
  readonly count?: number;
}

/** Erases in place from normalised values, [height, width, channels]. */
export function eraseRandomly(
  values: Float32Array,
  height: number,
  width: number,
  options: EraseOptions,
  random: RandomStream,
): void {
  const { area = [0.02, 1 / 3], ratio = [0.3, 1 / 0.3], count: most = 1 } = options;
  if (!random.chance(options.probability)) return;
  const channels = values.length / (height * width);
  const count = most > 1 ? 1 + random.below(most) : 1;
  for (let n = 0; n < count; n++) {
    for (let i = 0; i < ATTEMPTS; i++) {
      const target = (random.uniform(area[0], area[1]) * height * width) / count;
      const aspect = Math.exp(random.uniform(Math.log(ratio[0]), Math.log(ratio[1])));
      const h = Math.round(Math.sqrt(target * aspect));
      const w = Math.round(Math.sqrt(target / aspect));
      if (h >= height || w >= width) continue;
      const top = random.below(height - h + 1);
      const left = random.below(width - w + 1);
      const valueOf = filling(options.mode ?? 'pixel', channels, random);
      for (let y = top; y < top + h; y++) {
        const row = (y * width + left) * channels;
        for (let k = 0; k < w * channels; k++) values[row + k] = valueOf(k % channels);
      }
      break;
    }
  }
}

/** What gives the values of erased pixels, channel by channel. */
function filling(
  mode: 'pixel' | 'rand' | 'const',
  channels: number,
  random: RandomStream,
): (channel: number) => number {
  if (mode === 'pixel') return () => random.normal();
  if (mode === 'const') return () => 0;
  const colour = Array.from({ length: channels }, () => random.normal());
  return (channel) => colour[channel] ?? 0;
}
