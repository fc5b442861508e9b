import { invalidArgument } from '../../core/errors.ts';

/** Pixels as networks see them: 8-bit RGB, [height, width, 3]. */
export interface RgbImage {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** Pixels as canvases give them: 8-bit RGBA, [height, width, 4], not multiplied by alpha. */
export interface RgbaPixels {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array | Uint8ClampedArray;
}

/** Throws `invalid-argument` unless the image is at least one pixel and at most `maxPixels`. */
export function checkSize(name: string, width: number, height: number, maxPixels: number): void {
  if (!(Number.isInteger(width) && Number.isInteger(height) && width > 0 && height > 0)) {
    throw invalidArgument(`${name} is ${width} × ${height} pixels: an image needs at least one.`);
  }
  if (width * height > maxPixels) {
    throw invalidArgument(
      `${name} is ${width} × ${height} pixels, more than the limit of ${maxPixels}: shrink it, or allow more (maxPixels, --max-pixels).`,
    );
  }
}

/** RGB of RGBA. Alpha is dropped, not blended, as Pillow's `convert('RGB')` does when networks are trained. */
export function dropAlpha(rgba: ArrayLike<number>): Uint8Array {
  const pixels = rgba.length / 4;
  const rgb = new Uint8Array(pixels * 3);
  for (let i = 0; i < pixels; i++) {
    rgb[3 * i] = rgba[4 * i] ?? 0;
    rgb[3 * i + 1] = rgba[4 * i + 1] ?? 0;
    rgb[3 * i + 2] = rgba[4 * i + 2] ?? 0;
  }
  return rgb;
}

/**
 * RGB of CMYK (0 is no ink), as Pillow's `convert('RGB')`: 255 − K − C · (255 − K) / 255, rounded, without
 * colour profiles.
 */
export function cmykToRgb(cmyk: ArrayLike<number>): Uint8Array {
  const pixels = cmyk.length / 4;
  const rgb = new Uint8Array(pixels * 3);
  for (let i = 0; i < pixels; i++) {
    const light = 255 - (cmyk[4 * i + 3] ?? 0);
    for (let c = 0; c < 3; c++) {
      rgb[3 * i + c] = light - Math.round(((cmyk[4 * i + c] ?? 0) * light) / 255);
    }
  }
  return rgb;
}
