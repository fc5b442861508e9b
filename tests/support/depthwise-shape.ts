import { samePadding } from '../../src/kernels/problem.ts';
import type { DepthwiseProblem, Epilogue, Padding } from '../../src/kernels/problem.ts';

/** What matters of a depthwise convolution; the rest has defaults. */
export interface DepthwiseShape {
  readonly map: readonly [height: number, width: number];
  readonly channels: number;
  readonly kernel: readonly [height: number, width: number];
  /** Default 1. */
  readonly batch?: number;
  /** Default 1. */
  readonly stride?: number;
  /** Default 1. */
  readonly dilation?: number;
  /** Default: the map keeps its size. */
  readonly padding?: Padding;
}

/** `tall: 51×5 on 1×28×28×8`. */
export function describeShape(name: string, { map, channels, kernel, batch = 1 }: DepthwiseShape): string {
  return `${name}: ${kernel.join('×')} on ${batch}×${map.join('×')}×${channels}`;
}

/** The sizes of its problem, as those of its gradients have them too. */
export function depthwiseSizes(shape: DepthwiseShape, pitch: (channels: number) => number) {
  const { channels, batch = 1, stride = 1, dilation = 1 } = shape;
  const [height, width] = shape.map;
  const [kernelHeight, kernelWidth] = shape.kernel;
  return {
    ...{ batch, height, width, channels, pitch: pitch(channels) },
    ...{ kernelHeight, kernelWidth, stride, dilation },
    padding: shape.padding ?? samePadding(kernelHeight, kernelWidth, dilation),
  } satisfies Partial<DepthwiseProblem>;
}

/** Shapes whose padding is not what keeps the map's size. */
export const UNUSUAL_PADDINGS = {
  'no padding': {
    map: [14, 12],
    channels: 8,
    kernel: [5, 9],
    padding: { top: 0, bottom: 0, left: 0, right: 0 },
  },
  'uneven padding': {
    map: [10, 11],
    channels: 8,
    kernel: [5, 5],
    padding: { top: 4, bottom: 0, left: 1, right: 7 },
  },
  'more padding than kernel': {
    map: [6, 5],
    channels: 4,
    kernel: [3, 3],
    padding: { top: 5, bottom: 6, left: 4, right: 3 },
  },
} as const satisfies Readonly<Record<string, DepthwiseShape>>;

/** Everything that can follow a convolution. */
export const FULL_EPILOGUE: Epilogue = {
  bias: true,
  activation: 'gelu',
  scale: true,
  residual: true,
  finalActivation: 'relu',
};
