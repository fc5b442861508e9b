import type { PixelImage } from '../dataset.ts';

/** Pillow's brightness of a colour, ITU-R 601-2, in units of 2⁻¹⁶. */
const RED = 19595;
const GREEN = 38470;
const BLUE = 7471;

/** The brightness of every pixel, as Pillow's `convert('L')`. */
export function toGrey(image: PixelImage): PixelImage {
  const { width, height, channels, data } = image;
  if (channels === 1) return image;
  const out = new Uint8Array(width * height);
  for (let i = 0, from = 0; i < out.length; i++, from += 3) {
    const sum =
      RED * (data[from] as number) + GREEN * (data[from + 1] as number) + BLUE * (data[from + 2] as number);
    out[i] = (sum + 0x8000) >> 16;
  }
  return { width, height, channels: 1, data: out };
}

/** Grey as three equal channels. */
export function toRgb(image: PixelImage): PixelImage {
  const { width, height, channels, data } = image;
  if (channels === 3) return image;
  const out = new Uint8Array(data.length * 3);
  for (let i = 0; i < data.length; i++) out.fill(data[i] as number, 3 * i, 3 * i + 3);
  return { width, height, channels: 3, data: out };
}

/** The image with as many channels as a network wants. */
export function withChannels(image: PixelImage, channels: 1 | 3): PixelImage {
  return channels === 1 ? toGrey(image) : toRgb(image);
}
