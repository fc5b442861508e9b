import { invalidArgument } from '../../core/errors.ts';
import type { RgbImage } from './rgb.ts';

export type Interpolation = 'bilinear' | 'bicubic';

/** A part of an image, in pixels. */
export interface Rectangle {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** Weights are integers, in units of 2⁻²²: 32 bits, less 8 of a pixel, less 2 for the overshoot of bicubic. */
const PRECISION = 22;
const ONE = 2 ** PRECISION;
const HALF = ONE / 2;

/** How far each kernel reaches, in pixels of the coarser grid, and its value at a distance x ≥ 0 within. */
const KERNELS: Record<Interpolation, { readonly reach: number; readonly at: (x: number) => number }> = {
  bilinear: { reach: 1, at: (x) => (x < 1 ? 1 - x : 0) },
  // Keys' cubic convolution with a = −1/2.
  bicubic: {
    reach: 2,
    at: (x) => {
      if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
      return x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0;
    },
  },
};

/** How the outputs [first, first + starts.length) along an axis are made of inputs. */
interface Taps {
  /** The first input of each output. */
  readonly starts: Int32Array;
  /** How many inputs each output has; at most `stride`. */
  readonly counts: Int32Array;
  /** Their weights, [outputs, stride]. */
  readonly weights: Int32Array;
  readonly stride: number;
}

/**
 * Resizes to `width` × `height` and cuts out `part` (default: all of it), of which alone is computed.
 *
 * The same bits as Pillow's `Image.resize`, with which networks are trained and evaluated: an anti-aliasing
 * kernel, wider where the image shrinks; columns first, then rows, rounded to 8 bits in between.
 */
export function resize(
  image: RgbImage,
  width: number,
  height: number,
  interpolation: Interpolation,
  part: Rectangle = { left: 0, top: 0, width, height },
): RgbImage {
  checkPart(part, width, height);
  const across = taps(image.width, width, part.left, part.width, interpolation);
  const down = taps(image.height, height, part.top, part.height, interpolation);
  const last = part.height - 1;
  const firstRow = down.starts[0] ?? 0;
  const endRow = (down.starts[last] ?? 0) + (down.counts[last] ?? 0);
  const rows = resizeColumns(image, across, firstRow, endRow);
  return { width: part.width, height: part.height, data: resizeRows(rows, part.width, firstRow, down) };
}

function checkPart(part: Rectangle, width: number, height: number): void {
  const sizes = [part.left, part.top, part.width, part.height, width, height];
  const whole = sizes.every(Number.isInteger) && part.width > 0 && part.height > 0;
  const inside = part.left >= 0 && part.top >= 0;
  if (!(whole && inside && part.left + part.width <= width && part.top + part.height <= height)) {
    throw invalidArgument(
      `There is no part of ${part.width} × ${part.height} pixels at ${part.left}, ${part.top} in an image of ${width} × ${height}.`,
    );
  }
}

/**
 * With scale = inputs / outputs and s = max(scale, 1), output o has the centre c = (o + ½) · scale and takes the
 * inputs i within c ± reach · s, with weights kernel(|i + ½ − c| / s), normalised to a sum of 1.
 */
function taps(
  inputs: number,
  outputs: number,
  first: number,
  count: number,
  interpolation: Interpolation,
): Taps {
  const kernel = KERNELS[interpolation];
  const scale = inputs / outputs;
  const widening = Math.max(scale, 1);
  const support = kernel.reach * widening;
  const stride = Math.min(inputs, Math.ceil(support) * 2 + 1);
  const starts = new Int32Array(count);
  const counts = new Int32Array(count);
  const weights = new Int32Array(count * stride);
  const exact = new Float64Array(stride);
  for (let o = 0; o < count; o++) {
    const centre = (first + o + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - support + 0.5));
    const size = Math.min(inputs, Math.trunc(centre + support + 0.5)) - start;
    let sum = 0;
    for (let i = 0; i < size; i++) {
      const weight = kernel.at(Math.abs((start + i - centre + 0.5) * (1 / widening)));
      exact[i] = weight;
      sum += weight;
    }
    for (let i = 0; i < size; i++) {
      const scaled = ((exact[i] ?? 0) / sum) * ONE;
      weights[o * stride + i] = Math.trunc(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
    }
    starts[o] = start;
    counts[o] = size;
  }
  return { starts, counts, weights, stride };
}

// In the loops below indices are in range by construction, hence `as number`.

/** Rows [firstRow, endRow) of the image, resized across: [endRow − firstRow, columns, 3]. */
function resizeColumns(image: RgbImage, across: Taps, firstRow: number, endRow: number): Uint8ClampedArray {
  const columns = across.starts.length;
  const out = new Uint8ClampedArray((endRow - firstRow) * columns * 3);
  for (let y = firstRow; y < endRow; y++) {
    resizeRow(image.data, y * image.width, across, out, (y - firstRow) * columns * 3);
  }
  return out;
}

/** One row; a function of its own, because engines compile it after a few rows, and better than a loop in a loop. */
function resizeRow(
  data: Uint8Array,
  firstPixel: number,
  { starts, counts, weights, stride }: Taps,
  out: Uint8ClampedArray,
  to: number,
): void {
  for (let x = 0; x < starts.length; x++) {
    let from = (firstPixel + (starts[x] as number)) * 3;
    let red = HALF;
    let green = HALF;
    let blue = HALF;
    const end = x * stride + (counts[x] as number);
    for (let k = x * stride; k < end; k++) {
      const weight = weights[k] as number;
      red = (red + Math.imul(data[from] as number, weight)) | 0;
      green = (green + Math.imul(data[from + 1] as number, weight)) | 0;
      blue = (blue + Math.imul(data[from + 2] as number, weight)) | 0;
      from += 3;
    }
    out[to] = red >> PRECISION;
    out[to + 1] = green >> PRECISION;
    out[to + 2] = blue >> PRECISION;
    to += 3;
  }
}

/** The rows, the first of which is `firstRow`, resized down: [rows of `down`, columns, 3]. */
function resizeRows(rows: Uint8ClampedArray, columns: number, firstRow: number, down: Taps): Uint8Array {
  const { starts, counts, weights, stride } = down;
  const length = columns * 3;
  const sums = new Int32Array(length);
  const out = new Uint8ClampedArray(starts.length * length);
  for (let y = 0; y < starts.length; y++) {
    const from = ((starts[y] as number) - firstRow) * length;
    const count = counts[y] as number;
    if (count <= 4) {
      blendFour(out, y * length, length, rows, from, count, weights, y * stride);
      continue;
    }
    sums.fill(HALF);
    let k = 0;
    for (; k + 4 <= count; k += 4) addFour(sums, rows, from + k * length, weights, y * stride + k);
    for (; k < count; k++) addWeighted(sums, rows, from + k * length, weights[y * stride + k] as number);
    for (let i = 0; i < length; i++) out[y * length + i] = (sums[i] as number) >> PRECISION;
  }
  return new Uint8Array(out.buffer);
}

/** A row made of at most four, as where images grow: in one go, without sums in memory. */
function blendFour(
  out: Uint8ClampedArray,
  to: number,
  length: number,
  values: Uint8ClampedArray,
  first: number,
  count: number,
  weights: Int32Array,
  at: number,
): void {
  // Rows that are missing are the first one with a weight of 0.
  const [w0, w1, w2, w3] = [0, 1, 2, 3].map((k) => (k < count ? (weights[at + k] as number) : 0)) as Four;
  const [, second, third, fourth] = [0, 1, 2, 3].map((k) => first + (k < count ? k * length : 0)) as Four;
  for (let i = 0; i < length; i++) {
    const sum =
      HALF +
      Math.imul(values[first + i] as number, w0) +
      Math.imul(values[second + i] as number, w1) +
      Math.imul(values[third + i] as number, w2) +
      Math.imul(values[fourth + i] as number, w3);
    out[to + i] = sum >> PRECISION;
  }
}

type Four = [number, number, number, number];

/** Four rows at once, so that sums are loaded and stored a quarter as often. */
function addFour(
  sums: Int32Array,
  values: Uint8ClampedArray,
  first: number,
  weights: Int32Array,
  at: number,
): void {
  const length = sums.length;
  const w0 = weights[at] as number;
  const w1 = weights[at + 1] as number;
  const w2 = weights[at + 2] as number;
  const w3 = weights[at + 3] as number;
  const second = first + length;
  const third = second + length;
  const fourth = third + length;
  for (let i = 0; i < length; i++) {
    sums[i] =
      (sums[i] as number) +
      Math.imul(values[first + i] as number, w0) +
      Math.imul(values[second + i] as number, w1) +
      Math.imul(values[third + i] as number, w2) +
      Math.imul(values[fourth + i] as number, w3);
  }
}

function addWeighted(sums: Int32Array, values: Uint8ClampedArray, from: number, weight: number): void {
  for (let i = 0; i < sums.length; i++) {
    sums[i] = (sums[i] as number) + Math.imul(values[from + i] as number, weight);
  }
}
