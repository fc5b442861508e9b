import type { DepthwiseProblem } from '../kernels/problem.ts';
import type { LayerCase, LayerPart } from './train-layer-case.ts';
import { expectation, sample } from './verify.ts';
import type { Expectation } from './verify.ts';

/** What a part of a layer should be in float64, at some 4,000 positions of its output. */
export function layerExpectation(test: LayerCase, part: LayerPart): Expectation {
  if (part === 'forward') return expectation(test);
  return part === 'input gradient' ? inputGradient(test) : weightGradient(test);
}

/** dx[n, y, x, c] = Σ dy[n, y − ky + top, x − kx + left, c] · weight[c, ky, kx]: stride and dilation are 1. */
function inputGradient({ problem, gradient, weight }: LayerCase): Expectation {
  const { batch, height, width, channels, kernelHeight, kernelWidth, padding } = problem;
  return sampled([batch, height, width, channels], ([n, y, x, c]) => {
    let sum = 0;
    for (let ky = 0; ky < kernelHeight; ky++) {
      for (let kx = 0; kx < kernelWidth; kx++) {
        const dy = pixel(gradient, problem, n, y - ky + padding.top, x - kx + padding.left, c);
        sum += dy * (weight[(c * kernelHeight + ky) * kernelWidth + kx] ?? NaN);
      }
    }
    return sum;
  });
}

/** dweight[c, ky, kx] = Σ over n, y, x of dy[n, y, x, c] · x[n, y + ky − top, x + kx − left, c]. */
function weightGradient({ problem, gradient, input }: LayerCase): Expectation {
  const { batch, height, width, channels, kernelHeight, kernelWidth, padding } = problem;
  return sampled([channels, kernelHeight, kernelWidth, 1], ([c, ky, kx]) => {
    let sum = 0;
    for (let n = 0; n < batch; n++) {
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) {
          const value = pixel(input, problem, n, y + ky - padding.top, x + kx - padding.left, c);
          if (value !== 0) sum += value * pixel(gradient, problem, n, y, x, c);
        }
      }
    }
    return sum;
  });
}

type Position = readonly [number, number, number, number];

function sampled(shape: Position, valueAt: (position: Position) => number): Expectation {
  const [, b, c, d] = shape;
  const indices = sample(shape);
  const values = Float64Array.from(indices, (index) =>
    valueAt([
      Math.floor(index / (b * c * d)),
      Math.floor(index / (c * d)) % b,
      Math.floor(index / d) % c,
      index % d,
    ]),
  );
  return { indices, values };
}

/** A value of a dense map [N, H, W, C]; 0 beside the map. */
function pixel(
  map: Float32Array,
  { height, width, channels }: DepthwiseProblem,
  n: number,
  y: number,
  x: number,
  c: number,
): number {
  if (y < 0 || y >= height || x < 0 || x >= width) return 0;
  return map[((n * height + y) * width + x) * channels + c] ?? NaN;
}
