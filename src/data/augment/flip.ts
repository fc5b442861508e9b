import type { PixelImage } from '../dataset.ts';

/** The image mirrored left to right. */
export function flipHorizontally(image: PixelImage): PixelImage {
  const { width, height, channels, data } = image;
  const out = new Uint8Array(data.length);
  const row = width * channels;
  for (let y = 0; y < height; y++) {
    if (channels === 1) flipGreyRow(data, out, y * row, row);
    else flipRgbRow(data, out, y * row, row);
  }
  return { width, height, channels, data: out };
}

function flipGreyRow(data: Uint8Array, out: Uint8Array, start: number, length: number): void {
  for (let i = 0; i < length; i++) out[start + i] = data[start + length - 1 - i] as number;
}

function flipRgbRow(data: Uint8Array, out: Uint8Array, start: number, length: number): void {
  let from = start + length - 3;
  for (let to = start; to < start + length; to += 3) {
    out[to] = data[from] as number;
    out[to + 1] = data[from + 1] as number;
    out[to + 2] = data[from + 2] as number;
    from -= 3;
  }
}
