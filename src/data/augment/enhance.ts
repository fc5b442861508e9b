import type { PixelImage } from '../dataset.ts';
import { toGrey, toRgb } from './grey.ts';
import { mapValues } from './tables.ts';

// Pillow's ImageEnhance: a factor of 1 leaves the image as it is, 0 gives a degenerate image, others lie on the line
// through both: degenerate + factor · (image − degenerate), in float32, clipped, fractions cut off.

const { fround } = Math;

/** Degenerate: black. */
export function adjustBrightness(image: PixelImage, factor: number): PixelImage {
  return blendWithValue(image, 0, factor);
}

/** Degenerate: grey, the mean brightness. */
export function adjustContrast(image: PixelImage, factor: number): PixelImage {
  const { data } = toGrey(image);
  let sum = 0;
  for (let i = 0; i < data.length; i++) sum += data[i] as number;
  return blendWithValue(image, Math.floor(sum / data.length + 0.5), factor);
}

/** Degenerate: the image without colours. Saturation, in torchvision's words. */
export function adjustColour(image: PixelImage, factor: number): PixelImage {
  return image.channels === 1 ? image : blend(toRgb(toGrey(image)), image, factor);
}

/** Degenerate: the image smoothed. */
export function adjustSharpness(image: PixelImage, factor: number): PixelImage {
  return blend(smooth(image), image, factor);
}

/**
 * Turns all hues by a fraction of the circle, −0.5 … 0.5, as torchvision does with Pillow: hue, saturation and value have 8
 * bits each. Grey images have no hue.
 */
export function adjustHue(image: PixelImage, turn: number): PixelImage {
  const { channels, data } = image;
  if (channels === 1) return image;
  const out = new Uint8Array(data.length);
  const shift = Math.trunc(turn * 255);
  for (let i = 0; i < data.length; i += 3) {
    shiftHue(data[i] as number, data[i + 1] as number, data[i + 2] as number, shift, out, i);
  }
  return { ...image, data: out };
}

function blendWithValue(image: PixelImage, value: number, factor: number): PixelImage {
  const table = Uint8Array.from({ length: 256 }, (_, i) => blendValues(value, i, fround(factor)));
  return mapValues(image, table);
}

function blend(degenerate: PixelImage, image: PixelImage, factor: number): PixelImage {
  const out = new Uint8Array(image.data.length);
  const alpha = fround(factor);
  for (let i = 0; i < out.length; i++) {
    out[i] = blendValues(degenerate.data[i] as number, image.data[i] as number, alpha);
  }
  return { ...image, data: out };
}

function blendValues(from: number, to: number, alpha: number): number {
  const value = fround(from + fround(alpha * (to - from)));
  return value <= 0 ? 0 : value >= 255 ? 255 : Math.trunc(value);
}

/** Each pixel within the border: (4 · itself + the sum of the 3 × 3 pixels around it) / 13, rounded. */
function smooth(image: PixelImage): PixelImage {
  const { width, height, channels, data } = image;
  const out = data.slice();
  const row = width * channels;
  for (let y = 1; y < height - 1; y++) {
    for (let i = y * row + channels; i < (y + 1) * row - channels; i++) {
      let sum = 4 * (data[i] as number);
      for (let from = i - row; from <= i + row; from += row) {
        sum += (data[from - channels] as number) + (data[from] as number) + (data[from + channels] as number);
      }
      out[i] = Math.floor((2 * sum + 13) / 26);
    }
  }
  return { ...image, data: out };
}

/** Writes the colour (r, g, b) with its hue, 0 … 255 for a whole turn, increased by `shift`. */
function shiftHue(r: number, g: number, b: number, shift: number, out: Uint8Array, at: number): void {
  const value = Math.max(r, g, b);
  const range = value - Math.min(r, g, b);
  const below = (channel: number): number => (range === 0 ? 0 : fround((value - channel) / range));
  const [red, green, blue] = [below(r), below(g), below(b)];
  // Hue in sixths of a turn: 0 is red, 2 green, 4 blue.
  const sixths = r === value ? blue - green : g === value ? 2 + red - blue : 4 + green - red;
  const hue = range === 0 ? 0 : Math.trunc(fround((fround(sixths) / 6 + 1) % 1) * 255);
  const saturation = fround((range === 0 ? 0 : Math.trunc(fround(range / value) * 255)) / 255);
  const position = (((hue + shift) & 255) * 6) / 255;
  const sector = Math.floor(position);
  const fraction = fround(position - sector);
  const low = Math.round(value * (1 - saturation));
  const falling = Math.round(value * (1 - saturation * fraction));
  const rising = Math.round(value * (1 - saturation * (1 - fraction)));
  const sectors = [
    [value, rising, low],
    [falling, value, low],
    [low, value, rising],
    [low, falling, value],
    [rising, low, value],
    [value, low, falling],
  ];
  out.set(sectors[sector % 6] ?? [], at);
}
