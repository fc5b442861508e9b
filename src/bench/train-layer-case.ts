import { Random } from '../core/random.ts';
import type { DepthwiseProblem } from '../kernels/problem.ts';
import { depthwiseCase } from './case.ts';
import type { BenchCase, KernelSize, MapShape } from './case.ts';

/** What a layer computes in a step of training. */
export const LAYER_PARTS = ['forward', 'input gradient', 'weight gradient'] as const;

export type LayerPart = (typeof LAYER_PARTS)[number];

/** A depthwise convolution in training: its data, and the gradient to its output. */
export interface LayerCase extends BenchCase<DepthwiseProblem> {
  /** dL/dy, [N, H, W, C], uniform in [-1, 1). */
  readonly gradient: Float32Array;
}

/** A depthwise layer that keeps the map's size. */
export function layerCase(shape: MapShape, kernel: KernelSize): LayerCase {
  const gradient = new Random('bench depthwise gradient').array(shape.reduce((a, b) => a * b, 1));
  return { ...depthwiseCase(shape, kernel), gradient };
}
