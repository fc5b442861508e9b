import type { PixelImage } from '../dataset.ts';

/** The image mirrored left to right. */
export function flipHorizontally(image: PixelImage): PixelImage {
  const { width, height, channels, data } = image;
  const out = new Uint8Array(data.length);
  const row = width * channels;
  for (let y = 0; y < height; y++) {
    let from = y * row + row - channels;
    let to = y * row;
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < channels; c++) out[to++] = data[from + c] as number;
      from -= channels;
    }
  }
  return { width, height, channels, data: out };
}
