import { Random } from '../core/random.ts';
import { outputMap } from '../kernels/problem.ts';
import type { DepthwiseProblem, PointwiseProblem } from '../kernels/problem.ts';
import type { BenchCase } from './case.ts';
import { relativeError } from './verify-model.ts';

/**
 * Beyond this error, relative to the largest output, a result counts as wrong: n·2⁻²⁴ for n = 4096 terms, which are more than
 * 51×51 taps. Each addition errs by at most 2⁻²⁴ of the partial sum, which is smaller than the largest output where signs are
 * random, as here. In deeper sums errors of random signs add up to some √n·2⁻²⁴, which is less still for all n below 2²⁴.
 */
export const MAX_RELATIVE_ERROR = 4096 * 2 ** -24;

/** Output elements by their dense index, and what they should be, in float64. */
export interface Expectation {
  readonly indices: readonly number[];
  readonly values: Float64Array;
}

const SAMPLES = 4096;

/**
 * The exact result at some 4,000 positions of the output, always the same: corners and edges of the map
 * with the first and last channels, where mistakes are likely, and the rest at random. (All of a
 * 51×51 kernel's output would take minutes.)
 */
export function expectation(test: BenchCase): Expectation {
  const { problem } = test;
  return problem.op === 'depthwise' ? depthwise(problem, test) : pointwise(problem, test);
}

/** max |y − reference| / max |reference| over the sample; infinite if any element is not a number. */
export function maxRelativeError(output: Float32Array, { indices, values }: Expectation): number {
  return relativeError(
    Float64Array.from(indices, (index) => output[index] ?? NaN),
    values,
  );
}

function depthwise(problem: DepthwiseProblem, { input, weight }: BenchCase): Expectation {
  const { batch, height, width, channels, kernelHeight, kernelWidth, stride, dilation, padding } = problem;
  const out = outputMap(problem);
  const indices = sample([batch, out.height, out.width, channels]);
  const values = Float64Array.from(indices, (index) => {
    const channel = index % channels;
    const pixel = Math.floor(index / channels);
    const left = (pixel % out.width) * stride - padding.left;
    const row = Math.floor(pixel / out.width);
    const top = (row % out.height) * stride - padding.top;
    const image = Math.floor(row / out.height);
    let sum = 0;
    for (let ky = 0; ky < kernelHeight; ky++) {
      const y = top + ky * dilation;
      if (y < 0 || y >= height) continue;
      for (let kx = 0; kx < kernelWidth; kx++) {
        const x = left + kx * dilation;
        if (x < 0 || x >= width) continue;
        const pixelValue = input[((image * height + y) * width + x) * channels + channel] ?? NaN;
        sum += pixelValue * (weight[(channel * kernelHeight + ky) * kernelWidth + kx] ?? NaN);
      }
    }
    return sum;
  });
  return { indices, values };
}

function pointwise(problem: PointwiseProblem, { input, weight }: BenchCase): Expectation {
  const { rows, inputs, outputs } = problem;
  const indices = sample([rows, outputs]);
  const values = Float64Array.from(indices, (index) => {
    const output = index % outputs;
    const row = Math.floor(index / outputs);
    let sum = 0;
    for (let i = 0; i < inputs; i++) {
      sum += (input[row * inputs + i] ?? NaN) * (weight[output * inputs + i] ?? NaN);
    }
    return sum;
  });
  return { indices, values };
}

/** Indices into a dense tensor, ascending and without repetition: all of it if it is small. */
export function sample(shape: readonly number[]): number[] {
  const size = shape.reduce((a, b) => a * b, 1);
  if (size <= SAMPLES) return Array.from({ length: size }, (_, i) => i);
  const chosen = new Set<number>();
  // Corners: each axis at its first or last index.
  for (let corner = 0; corner < 2 ** shape.length; corner++) {
    chosen.add(
      shape.reduce((index, extent, axis) => index * extent + ((corner >> axis) & 1) * (extent - 1), 0),
    );
  }
  // Edges: one axis at its first or last index, the others at random; then anywhere.
  const random = new Random('bench sample');
  for (let i = 0; chosen.size < SAMPLES; i++) {
    const pinned = i % (2 * shape.length + 1);
    const index = shape.reduce((sum, extent, axis) => {
      const anywhere = Math.floor((random.bits(i * shape.length + axis) / 2 ** 32) * extent);
      const pinnedHere = pinned >> 1 === axis;
      return sum * extent + (pinnedHere ? (pinned & 1) * (extent - 1) : anywhere);
    }, 0);
    chosen.add(index);
  }
  return [...chosen].sort((a, b) => a - b);
}
