import type { Activation, Padding } from '../kernels/problem.ts';

/*
 * Operations that only training has. They lower to the problems of the same names (`kernels/training/problems.ts`), which
 * give the formulas. A gradient to a parameter is a node [1, 1, 1, count], its values in the parameter's order.
 */

/** [N, H, W, I], [N, H, W, O] → [1, 1, 1, O·I]. */
export interface PointwiseWeightGradientOp {
  readonly type: 'pointwise-weight-gradient';
}

/** The window of the convolution whose weight it is. */
interface ConvWindow {
  readonly kernelHeight: number;
  readonly kernelWidth: number;
  readonly stride: number;
  readonly dilation: number;
  readonly padding: Padding;
}

/** x [N, H, W, C] and dy of the convolution's output map → [1, 1, 1, C·kernelHeight·kernelWidth]. */
export interface DepthwiseWeightGradientOp extends ConvWindow {
  readonly type: 'depthwise-weight-gradient';
}

/** x [N, H, W, I] and dy [N, ·, ·, O] → [1, 1, 1, O·(I / groups)·kernelHeight·kernelWidth]. */
export interface ConvWeightGradientOp extends ConvWindow {
  readonly type: 'conv-weight-gradient';
  readonly groups: number;
}

/** Sum over the pixels of x, or of x times a second input: over those of each image, or of the whole batch. */
export interface PixelSumOp {
  readonly type: 'pixel-sum';
  readonly product: boolean;
  /** [1, 1, 1, C] for the whole batch, [N, 1, 1, C] for each image. */
  readonly of: 'batch' | 'image';
}

/** [N, 1, 1, C] → [N, height, width, C], times a factor. */
export interface PixelBroadcastOp {
  readonly type: 'pixel-broadcast';
  readonly height: number;
  readonly width: number;
  readonly factor: number;
}

/** [N, H, W, C] → [1, 1, 2, C]: mean and biased variance of each channel. */
export interface BatchStatisticsOp {
  readonly type: 'batch-statistics';
}

/** Inputs x, statistics [1, 1, 2, C]; parameters `weight`, `bias` [C]. */
export interface BatchNormalizeOp {
  readonly type: 'batch-normalize';
  readonly epsilon: number;
}

/** Inputs x, dy, statistics → [1, 1, 2, C]: Σ dy and Σ dy · x̂. */
export interface BatchNormSumsOp {
  readonly type: 'batch-norm-sums';
  readonly epsilon: number;
}

/** Inputs x, dy, statistics, sums; parameter `weight` [C]. */
export interface BatchNormGradientOp {
  readonly type: 'batch-norm-gradient';
  readonly epsilon: number;
}

/** Inputs x, dy; parameter `weight` [C] if affine. */
export interface LayerNormGradientOp {
  readonly type: 'layer-norm-gradient';
  readonly epsilon: number;
  readonly affine: boolean;
}

/** Inputs x, dy → [1, 1, 2, C]: Σ dy and Σ dy · x̂. */
export interface LayerNormSumsOp {
  readonly type: 'layer-norm-sums';
  readonly epsilon: number;
}

/** Inputs x (what went into the activation), dy. */
export interface ActivationGradientOp {
  readonly type: 'activation-gradient';
  readonly activation: Activation;
}

/** Inputs x [N, H, W, C], scale [N, 1, 1, 1]. */
export interface SampleScaleOp {
  readonly type: 'sample-scale';
}

/** [N, H, W, C·factor²] → [N, H·factor, W·factor, C]. */
export interface PixelShuffleOp {
  readonly type: 'pixel-shuffle';
  readonly factor: number;
}

/** [N, H, W, C] → [N, (H − 1)·stride + 1, (W − 1)·stride + 1, C]. */
export interface ZeroInsertOp {
  readonly type: 'zero-insert';
  readonly stride: number;
}

/** Channels `range[0]` to `range[1]` (excluded). */
export interface ChannelSliceOp {
  readonly type: 'channel-slice';
  readonly range: readonly [from: number, to: number];
}

/** One pixel of [1, 1, rows, C] → [1, 1, 1, C]: a mean, a variance, a sum. */
export interface RowSliceOp {
  readonly type: 'row-slice';
  readonly row: number;
}

/** Inputs x, dy of a pool. */
export interface PoolGradientOp extends ConvWindow {
  readonly type: 'pool-gradient';
  readonly kind: 'max' | 'average';
  readonly countPadding: boolean;
}

/** dy [N, ⌈H/stride⌉, ⌈W/stride⌉, C] → [N, height, width, C]. */
export interface BlurPoolGradientOp {
  readonly type: 'blur-pool-gradient';
  readonly height: number;
  readonly width: number;
  readonly stride: number;
}

/** dy → [N, height, width, C]. */
export interface ResizeGradientOp {
  readonly type: 'resize-gradient';
  readonly height: number;
  readonly width: number;
  readonly alignCorners: boolean;
}

/** Inputs y of the softmax, dy. */
export interface SoftmaxGradientOp {
  readonly type: 'softmax-gradient';
}

/** Inputs x and target [N, H, W, C] → [N, H, W, 1]. */
export interface CrossEntropyOp {
  readonly type: 'cross-entropy';
}

/** Inputs x and target [N, H, W, C], dy [N, H, W, 1]. */
export interface CrossEntropyGradientOp {
  readonly type: 'cross-entropy-gradient';
}

export type TrainingOp =
  | PointwiseWeightGradientOp
  | DepthwiseWeightGradientOp
  | ConvWeightGradientOp
  | PixelSumOp
  | PixelBroadcastOp
  | BatchStatisticsOp
  | BatchNormalizeOp
  | BatchNormSumsOp
  | BatchNormGradientOp
  | LayerNormGradientOp
  | LayerNormSumsOp
  | ActivationGradientOp
  | SampleScaleOp
  | ZeroInsertOp
  | PixelShuffleOp
  | ChannelSliceOp
  | RowSliceOp
  | PoolGradientOp
  | BlurPoolGradientOp
  | ResizeGradientOp
  | SoftmaxGradientOp
  | CrossEntropyOp
  | CrossEntropyGradientOp;
