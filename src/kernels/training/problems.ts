import type { Activation, Window } from '../problem.ts';

/*
 * Problems of training: what gradients need beside the kernels that inference has. Gradients to inputs of
 * convolutions and products are no problems of their own but those layers again with `adjoint` weights.
 *
 * A gradient to a parameter has that parameter's order (PyTorch's) without gaps: one row of as many floats, and
 * zeros up to `gradientPitch`.
 */

/** dweight[o, i] = Σ over rows of dy[row, o] · x[row, i]. Inputs `x` [rows, inputs], `dy` [rows, outputs]. */
export interface PointwiseWeightGradientProblem {
  readonly op: 'pointwise-weight-gradient';
  readonly rows: number;
  readonly inputs: number;
  readonly outputs: number;
  readonly inputPitch: number;
  readonly outputPitch: number;
  readonly gradientPitch: number;
}

/**
 * dweight[c, 0, ky, kx] = Σ dy[n, oy, ox, c] · x[n, oy·stride + ky·dilation − top, ox·stride + kx·dilation − left, c].
 * Inputs `x` of the window's map and `dy` of its output map, of one pitch.
 */
export interface DepthwiseWeightGradientProblem extends Window {
  readonly op: 'depthwise-weight-gradient';
  readonly channels: number;
  readonly pitch: number;
  readonly gradientPitch: number;
}

/** The same for dense and grouped convolutions: dweight [outputs, inputs / groups, kernelHeight, kernelWidth]. */
export interface ConvWeightGradientProblem extends Window {
  readonly op: 'conv-weight-gradient';
  readonly inputs: number;
  readonly outputs: number;
  readonly groups: number;
  readonly inputPitch: number;
  readonly outputPitch: number;
  readonly gradientPitch: number;
}

/**
 * y[n, c] = Σ over pixels of x[n, p, c], or of x[n, p, c] · x1[n, p, c] if `product`: [N, P, C] → [N, 1, 1, C].
 * Gradients to biases, layer scales and gates.
 */
export interface PixelSumProblem {
  readonly op: 'pixel-sum';
  readonly batch: number;
  readonly pixels: number;
  readonly channels: number;
  readonly pitch: number;
  readonly product: boolean;
}

/** y[n, p, c] = factor · x[n, c]: the gradient of a sum or mean over pixels. */
export interface PixelBroadcastProblem {
  readonly op: 'pixel-broadcast';
  readonly batch: number;
  readonly pixels: number;
  readonly channels: number;
  readonly pitch: number;
  readonly factor: number;
}

/** Two rows of C: the mean of each channel over all rows, and its biased variance. */
export interface BatchStatisticsProblem {
  readonly op: 'batch-statistics';
  readonly rows: number;
  readonly channels: number;
  readonly pitch: number;
}

/**
 * Batch norm with the statistics of its batch: y = (x − mean) / √(variance + epsilon) · weight + bias.
 * Inputs `x`, `statistics` (two rows, of {@link BatchStatisticsProblem}); weights `weight`, `bias` [C].
 */
export interface BatchNormalizeProblem {
  readonly op: 'batch-normalize';
  readonly rows: number;
  readonly channels: number;
  readonly pitch: number;
  readonly epsilon: number;
}

/**
 * Two rows of C, with x̂ = (x − mean) / √(variance + epsilon): Σ dy, the gradient to a norm's bias, and Σ dy · x̂,
 * that to its weight. Inputs `x`, `dy`, `statistics`.
 */
export interface BatchNormSumsProblem {
  readonly op: 'batch-norm-sums';
  readonly rows: number;
  readonly channels: number;
  readonly pitch: number;
  readonly epsilon: number;
}

/**
 * dx = weight / √(variance + epsilon) · (dy − Σdy / rows − x̂ · Σ(dy·x̂) / rows) (Ioffe & Szegedy 2015).
 * Inputs `x`, `dy`, `statistics`, `sums` (of {@link BatchNormSumsProblem}); weight `weight` [C].
 */
export interface BatchNormGradientProblem {
  readonly op: 'batch-norm-gradient';
  readonly rows: number;
  readonly channels: number;
  readonly pitch: number;
  readonly epsilon: number;
}

/**
 * Gradient of a layer norm to its input: with g = dy · weight, dx = (g − mean(g) − x̂ · mean(g · x̂)) / √(variance + epsilon),
 * means over the channels of each row. Inputs `x`, `dy`; weight `weight` [C] if affine.
 */
export interface LayerNormGradientProblem {
  readonly op: 'layer-norm-gradient';
  readonly rows: number;
  readonly channels: number;
  readonly pitch: number;
  readonly epsilon: number;
  readonly affine: boolean;
}

/** Two rows of C: Σ dy and Σ dy · x̂ over all rows, the gradients to a layer norm's bias and weight. Inputs `x`, `dy`. */
export interface LayerNormSumsProblem {
  readonly op: 'layer-norm-sums';
  readonly rows: number;
  readonly channels: number;
  readonly pitch: number;
  readonly epsilon: number;
}

/** dx = dy · φ′(x). Inputs `x` (what went into the activation), `dy`. */
export interface ActivationGradientProblem {
  readonly op: 'activation-gradient';
  readonly rows: number;
  readonly channels: number;
  readonly pitch: number;
  readonly activation: Activation;
}

/** y[n, p, c] = x[n, p, c] · scale[n]: stochastic depth (Huang et al. 2016). Inputs `x`, `scale` [N, 1, 1, 1]. */
export interface SampleScaleProblem {
  readonly op: 'sample-scale';
  readonly batch: number;
  readonly pixels: number;
  readonly channels: number;
  readonly pitch: number;
  /** Floats from scale to scale. */
  readonly scalePitch: number;
}

/** [N, H, W, C] → [N, (H − 1)·stride + 1, (W − 1)·stride + 1, C] with zeros between pixels: the adjoint of a stride. */
export interface ZeroInsertProblem {
  readonly op: 'zero-insert';
  readonly batch: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly pitch: number;
  readonly stride: number;
}

/**
 * [N, H, W, C·f²] → [N, H·f, W·f, C], y[n, f·i + a, f·j + b, c] = x[n, i, j, c·f² + a·f + b], as PyTorch's PixelShuffle: the
 * last step of the adjoint of patches that do not overlap.
 */
export interface PixelShuffleProblem {
  readonly op: 'pixel-shuffle';
  readonly batch: number;
  readonly height: number;
  readonly width: number;
  readonly factor: number;
  /** Of the output. */
  readonly channels: number;
  readonly inputPitch: number;
  readonly outputPitch: number;
}

/** Channels `range[0]` to `range[1]` (excluded) of x: one part of a concatenation's gradient. */
export interface ChannelSliceProblem {
  readonly op: 'channel-slice';
  readonly rows: number;
  readonly inputs: number;
  readonly inputPitch: number;
  readonly range: readonly [from: number, to: number];
  readonly outputPitch: number;
}

/**
 * Gradient of a pool to its input. A maximum goes to the first element of its window, in order of rows, that has it,
 * as in PyTorch. Inputs `x` (of the window's map), `dy` (of its output map).
 */
export interface PoolGradientProblem extends Window {
  readonly op: 'pool-gradient';
  readonly kind: 'max' | 'average';
  readonly channels: number;
  readonly pitch: number;
  readonly countPadding: boolean;
}

/** Gradient of {@link BlurPoolProblem} to its input, [N, ⌈H/stride⌉, ⌈W/stride⌉, C] → [N, H, W, C]. Input `dy`. */
export interface BlurPoolGradientProblem {
  readonly op: 'blur-pool-gradient';
  readonly batch: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly pitch: number;
  readonly stride: number;
}

/** Gradient of {@link ResizeProblem} to its input, [N, outHeight, outWidth, C] → [N, H, W, C]. Input `dy`. */
export interface ResizeGradientProblem {
  readonly op: 'resize-gradient';
  readonly batch: number;
  readonly height: number;
  readonly width: number;
  readonly outHeight: number;
  readonly outWidth: number;
  readonly channels: number;
  readonly pitch: number;
  readonly alignCorners: boolean;
}

/** dx = y · (dy − Σ dy · y) over the channels of each row. Inputs `y` of the softmax as `x`, and `dy`. */
export interface SoftmaxGradientProblem {
  readonly op: 'softmax-gradient';
  readonly rows: number;
  readonly channels: number;
  readonly pitch: number;
}

/**
 * Cross-entropy of each row with a target distribution: −Σ target · log softmax(x), [rows, C] → [rows, 1].
 * Targets may be soft: label smoothing, Mixup, CutMix. Inputs `x`, `target`.
 */
export interface CrossEntropyProblem {
  readonly op: 'cross-entropy';
  readonly rows: number;
  readonly channels: number;
  readonly pitch: number;
  /** Floats from loss to loss. */
  readonly lossPitch: number;
}

/** dx = dy[row] · (softmax(x) · Σ target − target). Inputs `x`, `target`, and `dy` [rows, 1]. */
export interface CrossEntropyGradientProblem {
  readonly op: 'cross-entropy-gradient';
  readonly rows: number;
  readonly channels: number;
  readonly pitch: number;
  /** Floats from loss to loss, and so of dy. */
  readonly lossPitch: number;
}

export type TrainingProblem =
  | PointwiseWeightGradientProblem
  | DepthwiseWeightGradientProblem
  | ConvWeightGradientProblem
  | PixelSumProblem
  | PixelBroadcastProblem
  | BatchStatisticsProblem
  | BatchNormalizeProblem
  | BatchNormSumsProblem
  | BatchNormGradientProblem
  | LayerNormGradientProblem
  | LayerNormSumsProblem
  | ActivationGradientProblem
  | SampleScaleProblem
  | ZeroInsertProblem
  | PixelShuffleProblem
  | ChannelSliceProblem
  | PoolGradientProblem
  | BlurPoolGradientProblem
  | ResizeGradientProblem
  | SoftmaxGradientProblem
  | CrossEntropyProblem
  | CrossEntropyGradientProblem;
