import type { Interpolation } from '../../runtime/image/resize.ts';
import type { PixelImage } from '../dataset.ts';

/** Where an output position takes its value: (x, y) → (a·x + b·y + c, d·x + e·y + f). */
export type Affine = readonly [a: number, b: number, c: number, d: number, e: number, f: number];

/** One value a channel. */
export type Colour = readonly number[];

/** A shear along x: rows move by `factor` times their distance from the top. */
export function shearX(factor: number): Affine {
  return [1, factor, 0, 0, 1, 0];
}

export function shearY(factor: number): Affine {
  return [1, 0, 0, factor, 1, 0];
}

export function translate(x: number, y: number): Affine {
  return [1, 0, x, 0, 1, y];
}

/** A turn about the centre, counter-clockwise on the screen. */
export function rotation(degrees: number, width: number, height: number): Affine {
  const angle = (-(degrees % 360) * Math.PI) / 180;
  const cos = round15(Math.cos(angle));
  const sin = round15(Math.sin(angle));
  const x = width / 2;
  const y = height / 2;
  return [cos, sin, cos * -x + sin * -y + x, -sin, cos, -sin * -x + cos * -y + y];
}

/** To 15 decimals, so that right angles are exact. */
function round15(value: number): number {
  return Number(value.toFixed(15));
}

/**
 * The image moved as Pillow's `transform` does: each output pixel's centre is mapped to the input, and what lies
 * outside becomes `fill`. Fractions of interpolated values are cut off.
 */
export function transform(
  image: PixelImage,
  [a, b, c, d, e, f]: Affine,
  interpolation: Interpolation,
  fill: Colour,
): PixelImage {
  const { width, height, channels } = image;
  const out = new Uint8Array(image.data.length);
  const sample = interpolation === 'bilinear' ? sampleLinear : sampleCubic;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const fromX = a * (x + 0.5) + b * (y + 0.5) + c;
      const fromY = d * (x + 0.5) + e * (y + 0.5) + f;
      const to = (y * width + x) * channels;
      if (fromX >= 0 && fromX < width && fromY >= 0 && fromY < height) {
        sample(image, fromX - 0.5, fromY - 0.5, out, to);
      } else {
        for (let k = 0; k < channels; k++) out[to + k] = fill[k] as number;
      }
    }
  }
  return { ...image, data: out };
}

function sampleLinear(image: PixelImage, x: number, y: number, out: Uint8Array, to: number): void {
  const { width, height, channels, data } = image;
  const column = Math.floor(x);
  const row = Math.floor(y);
  const dx = x - column;
  const dy = y - row;
  const left = clamp(column, width) * channels;
  const right = clamp(column + 1, width) * channels;
  const top = clamp(row, height) * width * channels;
  const bottom = row + 1 < height ? (row + 1) * width * channels : top;
  for (let k = 0; k < channels; k++) {
    const upper = linear(data[top + left + k] as number, data[top + right + k] as number, dx);
    const lower = linear(data[bottom + left + k] as number, data[bottom + right + k] as number, dx);
    out[to + k] = linear(upper, lower, dy);
  }
}

function linear(from: number, to: number, t: number): number {
  return from + (to - from) * t;
}

function sampleCubic(image: PixelImage, x: number, y: number, out: Uint8Array, to: number): void {
  const { width, height, channels, data } = image;
  const column = Math.floor(x);
  const row = Math.floor(y);
  const dx = x - column;
  const dy = y - row;
  const x0 = clamp(column - 1, width) * channels;
  const x1 = clamp(column, width) * channels;
  const x2 = clamp(column + 1, width) * channels;
  const x3 = clamp(column + 2, width) * channels;
  const pitch = width * channels;
  const along = (line: number): number =>
    cubic(
      data[line + x0] as number,
      data[line + x1] as number,
      data[line + x2] as number,
      data[line + x3] as number,
      dx,
    );
  const y0 = clamp(row - 1, height) * pitch;
  const y1 = clamp(row, height) * pitch;
  const y2 = clamp(row + 1, height) * pitch;
  const y3 = clamp(row + 2, height) * pitch;
  for (let k = 0; k < channels; k++) {
    const value =
      dy === 0 ? along(y1 + k) : cubic(along(y0 + k), along(y1 + k), along(y2 + k), along(y3 + k), dy);
    out[to + k] = value <= 0 ? 0 : value >= 255 ? 255 : value;
  }
}

/** Cubic convolution with a = −1, between the second and the third value. */
function cubic(v0: number, v1: number, v2: number, v3: number, t: number): number {
  if (t === 0) return v1;
  const linearTerm = v2 - v0;
  const square = 2 * (v0 - v1) + v2 - v3;
  const cube = v1 - v0 - v2 + v3;
  return v1 + t * (linearTerm + t * (square + t * cube));
}

function clamp(position: number, extent: number): number {
  return position < 0 ? 0 : position < extent ? position : extent - 1;
}
