/**
 * Problems: what is to be computed, with every size fixed, and nothing about how.
 *
 * Activations are NHWC: a tensor [N, H, W, C] lies in memory as N·H·W pixels of `pitch` ≥ C floats. The
 * floats between C and `pitch` are padding: every kernel writes zeros there, and may rely on them. Convolutions, products
 * and fused blocks move whole vectors: their pitches are multiples of some lane count of the device ({@link channelPitch}).
 * Weights come in PyTorch's order (out, in/groups, kernelHeight, kernelWidth).
 */

import type { TrainingProblem } from './training/problems.ts';

/** What activations are called. */
export const ACTIVATIONS = ['none', 'relu', 'relu6', 'gelu', 'silu', 'sigmoid', 'tanh'] as const;
export type Activation = (typeof ACTIVATIONS)[number];

/**
 * What happens to an accumulator before it is stored:
 * `y = finalActivation(scale · activation(accumulator + bias) + residual)`.
 */
export interface Epilogue {
  /** Weight `bias` [C_out]. */
  readonly bias: boolean;
  readonly activation: Activation;
  /** Weight `scale` [C_out]: layer scale, one factor a channel. */
  readonly scale: boolean;
  /** Input `residual`, of the output's shape and pitch. */
  readonly residual: boolean;
  readonly finalActivation: Activation;
}

export const NO_EPILOGUE: Epilogue = {
  bias: false,
  activation: 'none',
  scale: false,
  residual: false,
  finalActivation: 'none',
};

/** Rows and columns of zeros around a map. */
export interface Padding {
  readonly top: number;
  readonly bottom: number;
  readonly left: number;
  readonly right: number;
}

/** A window that slides over a map [N, H, W, ·]. */
export interface Window {
  readonly batch: number;
  readonly height: number;
  readonly width: number;
  readonly kernelHeight: number;
  readonly kernelWidth: number;
  readonly stride: number;
  readonly dilation: number;
  readonly padding: Padding;
}

/** Depthwise convolution: weight [C, 1, kernelHeight, kernelWidth]; input and output have the same pitch. */
export interface DepthwiseProblem extends Window {
  readonly op: 'depthwise';
  readonly channels: number;
  readonly pitch: number;
  readonly epilogue: Epilogue;
  /** Share of the taps that are not zero, from 0 to 1, wherever they are. Absent: nothing is known of zeros. */
  readonly density?: number;
  /** Takes the weight of the layer whose adjoint this is: the taps are read in reverse. */
  readonly adjoint?: true;
}

/** y[rows, outputs] = x[rows, inputs] · weightᵀ, weight [outputs, inputs]: linear layers and 1×1 convolutions. */
export interface PointwiseProblem {
  readonly op: 'pointwise';
  readonly rows: number;
  readonly inputs: number;
  readonly outputs: number;
  readonly inputPitch: number;
  readonly outputPitch: number;
  readonly epilogue: Epilogue;
  /**
   * Permits rounding x and weight to bfloat16 (8 significant bits), where that is quicker; sums and epilogue stay
   * float32. Absent: float32 throughout. On devices without instructions for it, float32 all the same.
   */
  readonly precision?: 'bf16';
  /** Takes the weight of the layer whose adjoint this is, [inputs, outputs]: y = x · weight. */
  readonly adjoint?: true;
}

/**
 * Two matrix products with an activation between them, of whose hidden channels nothing reaches memory:
 * `y = epilogue(φ(n(x) · upᵀ + up_bias) · downᵀ)`, where n is a layer norm without weights, or nothing.
 * Weights `up` [hidden, inputs], `up_bias` [hidden], `down` [outputs, hidden].
 */
export interface FfnProblem {
  readonly op: 'ffn';
  readonly rows: number;
  readonly inputs: number;
  readonly hidden: number;
  readonly outputs: number;
  readonly inputPitch: number;
  readonly outputPitch: number;
  /** Normalises each row first; absent: rows are taken as they are. */
  readonly norm?: { readonly epsilon: number };
  /** Whether hidden channels have a bias. */
  readonly hiddenBias: boolean;
  readonly activation: Activation;
  /** Of the second product. */
  readonly epilogue: Epilogue;
}

/**
 * A ConvFirst block (Lavin 2024): a grouped convolution that keeps the map's size, and two matrix products with an
 * activation between them, `y = epilogue(φ((spatial ∗ x + spatial_bias) · upᵀ + up_bias) · downᵀ)`.
 * With a stride, the convolution still keeps the map's size; beside its result come the channels of x, and both are
 * subsampled as by `blur-pool` before the products.
 * Weights `spatial` [channels, channels / groups, kernelHeight, kernelWidth], `spatial_bias` [channels], and those of
 * an `ffn` with as many inputs as `productInputs` says.
 */
export interface ConvFirstProblem {
  readonly op: 'convfirst';
  readonly batch: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly groups: number;
  /** Odd; zeros around the map keep its size. */
  readonly kernelHeight: number;
  readonly kernelWidth: number;
  readonly stride: number;
  readonly hidden: number;
  readonly outputs: number;
  readonly inputPitch: number;
  readonly outputPitch: number;
  readonly spatialBias: boolean;
  readonly hiddenBias: boolean;
  readonly activation: Activation;
  /** Of the second product. */
  readonly epilogue: Epilogue;
}

/**
 * ConvFirst blocks of one shape, one behind the other: stride 1, as many outputs as channels; a residual is a block's own
 * input. Weights are those of a `convfirst`, with the block's number behind their names: `spatial0`, `up0`, …
 */
export interface ConvFirstChainProblem {
  readonly op: 'convfirst-chain';
  readonly blocks: number;
  readonly batch: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly groups: number;
  readonly kernelHeight: number;
  readonly kernelWidth: number;
  readonly hidden: number;
  readonly pitch: number;
  readonly spatialBias: boolean;
  readonly hiddenBias: boolean;
  readonly activation: Activation;
  /** Of the second products; without a final activation. */
  readonly epilogue: Epilogue;
}

/** Each block of a chain as a problem of its own. */
export function blockOfChain({
  op: _,
  blocks: __,
  pitch,
  ...chain
}: ConvFirstChainProblem): ConvFirstProblem {
  const { channels } = chain;
  return { ...chain, op: 'convfirst', stride: 1, outputs: channels, inputPitch: pitch, outputPitch: pitch };
}

/** Channels that the products of a ConvFirst block start from. */
export function productInputs({ channels, stride }: Pick<ConvFirstProblem, 'channels' | 'stride'>): number {
  return stride > 1 ? 2 * channels : channels;
}

/**
 * An MBConv block: 1×1 convolution to more channels, depthwise or grouped convolution, squeeze-and-excitation, 1×1
 * convolution. With σ the logistic function and means over pixels,
 *
 *     h = φ_s(spatial ∗ φ_e(x · expandᵀ + expand_bias) + spatial_bias)
 *     g = σ(φ_q(mean(h) · squeezeᵀ + squeeze_bias) · exciteᵀ + excite_bias)
 *     y = epilogue((g ⊙ h) · projectᵀ)
 *
 * Weights `expand` [hidden, channels], `spatial` [hidden, hidden / groups, kernelHeight, kernelWidth], `squeeze`
 * [squeeze.channels, hidden], `excite` [hidden, squeeze.channels], `project` [outputs, hidden], and their biases.
 */
export interface MBConvProblem extends Window {
  readonly op: 'mbconv';
  readonly channels: number;
  readonly hidden: number;
  readonly outputs: number;
  /** Of the spatial convolution; as many as hidden channels: depthwise. */
  readonly groups: number;
  readonly inputPitch: number;
  readonly outputPitch: number;
  /** Absent: the spatial convolution reads x, and hidden channels are the input's. */
  readonly expand?: { readonly bias: boolean; readonly activation: Activation };
  readonly spatial: { readonly bias: boolean; readonly activation: Activation };
  /** Absent: nothing is gated. */
  readonly squeeze?: { readonly channels: number; readonly activation: Activation };
  /** Of the projection. */
  readonly epilogue: Epilogue;
}

/** Dense (groups = 1) and grouped convolution: weight [outputs, inputs / groups, kernelHeight, kernelWidth]. */
export interface ConvProblem extends Window {
  readonly op: 'conv';
  readonly inputs: number;
  readonly outputs: number;
  readonly groups: number;
  readonly inputPitch: number;
  readonly outputPitch: number;
  readonly epilogue: Epilogue;
  /**
   * Takes the weight of the layer whose adjoint this is, [inputs, outputs / groups, kernelHeight, kernelWidth]: taps are
   * read in reverse, inputs and outputs of each group exchanged.
   */
  readonly adjoint?: true;
}

/** y = (x − mean(x)) / √(var(x) + epsilon) · weight + bias over the channels of each pixel. */
export interface LayerNormProblem {
  readonly op: 'layer-norm';
  readonly rows: number;
  readonly channels: number;
  readonly pitch: number;
  readonly epsilon: number;
  /** Whether there are weights `weight` [C] and `bias` [C]. */
  readonly affine: boolean;
}

/** Batch norm at inference: weights `weight`, `bias`, `running_mean`, `running_var`, each [C]. */
export interface BatchNormProblem {
  readonly op: 'batch-norm';
  readonly rows: number;
  readonly channels: number;
  readonly pitch: number;
  readonly epsilon: number;
  readonly activation: Activation;
}

/** Maximum or average over windows. Padding never counts as a maximum; `countPadding` says whether it counts in averages. */
export interface PoolProblem extends Window {
  readonly op: 'pool';
  readonly kind: 'max' | 'average';
  readonly channels: number;
  readonly pitch: number;
  readonly countPadding: boolean;
}

/** Mean over all H·W pixels: [N, H, W, C] → [N, 1, 1, C]. */
export interface GlobalPoolProblem {
  readonly op: 'global-pool';
  readonly batch: number;
  readonly pixels: number;
  readonly channels: number;
  readonly pitch: number;
}

/** Softmax over the channels of each row. */
export interface SoftmaxProblem {
  readonly op: 'softmax';
  readonly rows: number;
  readonly channels: number;
  readonly pitch: number;
}

/** One step of an element-wise chain; `add` and `mul` take the next input. */
export type ElementwiseStep =
  | { readonly kind: 'add' | 'mul' | 'sub' }
  | { readonly kind: 'activation'; readonly activation: Activation }
  | { readonly kind: 'affine'; readonly scale: number; readonly shift: number };

/** Inputs `x`, `x1`, `x2`, … of one shape, combined step by step: value = x, then each step in turn. */
export interface ElementwiseProblem {
  readonly op: 'elementwise';
  readonly rows: number;
  readonly channels: number;
  readonly pitch: number;
  readonly steps: readonly ElementwiseStep[];
}

/** y[n, p, c] = x[n, p, c] · gate[n, c]: squeeze-and-excitation's multiply. Inputs `x`, `gate`. */
export interface ChannelScaleProblem {
  readonly op: 'channel-scale';
  readonly batch: number;
  readonly pixels: number;
  readonly channels: number;
  readonly pitch: number;
}

/** Triangle-3 low-pass filter ([1 2 1]/4 each way), then stride; reflected borders (Zhang 2019). */
export interface BlurPoolProblem {
  readonly op: 'blur-pool';
  readonly batch: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly pitch: number;
  readonly stride: number;
}

/** Bilinear resize [N, H, W, C] → [N, outHeight, outWidth, C], as PyTorch's `interpolate`. */
export interface ResizeProblem {
  readonly op: 'resize';
  readonly batch: number;
  readonly height: number;
  readonly width: number;
  readonly outHeight: number;
  readonly outWidth: number;
  readonly channels: number;
  readonly pitch: number;
  readonly alignCorners: boolean;
}

/** Concatenation along channels. Inputs `x`, `x1`, …; input i has `channels[i]` channels at pitch `pitches[i]`. */
export interface ConcatProblem {
  readonly op: 'concat';
  readonly rows: number;
  readonly channels: readonly number[];
  readonly pitches: readonly number[];
  readonly outputPitch: number;
}

export type Problem =
  | DepthwiseProblem
  | PointwiseProblem
  | FfnProblem
  | ConvFirstProblem
  | MBConvProblem
  | ConvFirstChainProblem
  | ConvProblem
  | LayerNormProblem
  | BatchNormProblem
  | PoolProblem
  | GlobalPoolProblem
  | SoftmaxProblem
  | ElementwiseProblem
  | ChannelScaleProblem
  | BlurPoolProblem
  | ResizeProblem
  | ConcatProblem
  | TrainingProblem;

/** Pixels between windows along one axis: ⌊(size + before + after − dilation·(kernel − 1) − 1) / stride⌋ + 1. */
export function outputSize(
  size: number,
  kernel: number,
  before: number,
  after: number,
  stride: number,
  dilation: number,
): number {
  return Math.floor((size + before + after - dilation * (kernel - 1) - 1) / stride) + 1;
}

/** Height and width of a window's output map. */
export function outputMap(window: Window): { readonly height: number; readonly width: number } {
  const { height, width, kernelHeight, kernelWidth, stride, dilation, padding } = window;
  return {
    height: outputSize(height, kernelHeight, padding.top, padding.bottom, stride, dilation),
    width: outputSize(width, kernelWidth, padding.left, padding.right, stride, dilation),
  };
}

/** The padding that keeps the size at stride 1 (PyTorch's `kernel // 2`, dilated); even kernels get one pixel more. */
export function samePadding(kernelHeight: number, kernelWidth: number, dilation = 1): Padding {
  const vertical = Math.floor((dilation * (kernelHeight - 1) + 1) / 2);
  const horizontal = Math.floor((dilation * (kernelWidth - 1) + 1) / 2);
  return { top: vertical, bottom: vertical, left: horizontal, right: horizontal };
}

/** The pitch that activations with this many channels get on a device whose widest vectors have `lanes` floats. */
export function channelPitch(channels: number, lanes: number): number {
  const unit = channels < 64 ? Math.min(lanes, 8) : lanes;
  return Math.ceil(channels / unit) * unit;
}
