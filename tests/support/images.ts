import type { PixelImage } from '../../src/data/dataset.ts';

/** An image whose values `valueOf` gives. */
export function makeImage(
  width: number,
  height: number,
  channels: 1 | 3,
  valueOf: (x: number, y: number, channel: number) => number,
): PixelImage {
  const data = new Uint8Array(width * height * channels);
  for (let i = 0; i < data.length; i++) {
    const pixel = Math.floor(i / channels);
    data[i] = valueOf(pixel % width, Math.floor(pixel / width), i % channels);
  }
  return { width, height, channels, data };
}

/** The image that tests/fixtures/pillow/make.py makes. */
export function pillowImage(): PixelImage {
  return makeImage(23, 17, 3, (x, y, c) => 20 + ((x * 11 + y * 7 + c * 53 + ((x * y * (c + 3)) % 61)) % 200));
}
