import type { Activation, ElementwiseStep, Epilogue, Padding, Problem } from '../kernels/problem.ts';
import type { Node, Parameter, Shape } from './graph.ts';
import type { TrainingOp } from './training-ops.ts';

/** The network's input, or another one that training has: targets, what stochastic depth keeps, seeds of gradients. */
export interface InputOp {
  readonly type: 'input';
}

/**
 * Convolution of any kind: dense, grouped, depthwise (groups = channels), pointwise (1×1).
 * Parameters `weight` [outputs, inputs / groups, kernelHeight, kernelWidth], and `bias`, `scale` [outputs]
 * as the epilogue says; with a residual, the second input.
 */
export interface ConvOp {
  readonly type: 'conv';
  readonly outputs: number;
  readonly groups: number;
  readonly kernelHeight: number;
  readonly kernelWidth: number;
  readonly stride: number;
  readonly dilation: number;
  readonly padding: Padding;
  readonly epilogue: Epilogue;
  /** `weight` is that of the layer whose adjoint this is: [inputs, outputs / groups, kernelHeight, kernelWidth]. */
  readonly adjoint?: true;
}

/** Linear layer over the channels of each pixel. Parameters `weight` [outputs, inputs], the rest as for {@link ConvOp}. */
export interface LinearOp {
  readonly type: 'linear';
  readonly outputs: number;
  readonly epilogue: Epilogue;
  /** `weight` is that of the layer whose adjoint this is: [inputs, outputs]. */
  readonly adjoint?: true;
}

/**
 * Two linear layers with an activation between them, behind a layer norm without weights, if any, as one kernel.
 * Parameters `up` [hidden, inputs], `up_bias` [hidden], `down` [outputs, hidden], and `bias`, `scale` [outputs] as the
 * epilogue says; with a residual, the second input.
 */
export interface FfnOp {
  readonly type: 'ffn';
  readonly hidden: number;
  readonly outputs: number;
  readonly norm?: { readonly epsilon: number };
  readonly hiddenBias: boolean;
  readonly activation: Activation;
  readonly epilogue: Epilogue;
}

/**
 * A grouped convolution that keeps the map's size, then two linear layers with an activation between them, as one
 * kernel. With a stride, the input is put beside the convolution's result, and both are blurred and subsampled before
 * the linear layers. Parameters `spatial` [channels, channels / groups, kernelHeight, kernelWidth], `spatial_bias` [channels], and
 * those of {@link FfnOp}.
 */
export interface ConvFirstOp {
  readonly type: 'convfirst';
  readonly groups: number;
  readonly kernelHeight: number;
  readonly kernelWidth: number;
  readonly stride: number;
  readonly hidden: number;
  readonly outputs: number;
  readonly spatialBias: boolean;
  readonly hiddenBias: boolean;
  readonly activation: Activation;
  readonly epilogue: Epilogue;
}

/**
 * A 1×1 convolution to more channels (or none), a depthwise or grouped one, squeeze-and-excitation (or none), and a 1×1
 * convolution, as one kernel. Parameters as weights of `MBConvProblem`; with a residual, the second input.
 */
export interface MBConvOp {
  readonly type: 'mbconv';
  readonly hidden: number;
  readonly outputs: number;
  readonly groups: number;
  readonly kernelHeight: number;
  readonly kernelWidth: number;
  readonly stride: number;
  readonly padding: Padding;
  readonly expand?: { readonly bias: boolean; readonly activation: Activation };
  readonly spatial: { readonly bias: boolean; readonly activation: Activation };
  readonly squeeze?: { readonly channels: number; readonly activation: Activation };
  readonly epilogue: Epilogue;
}

/**
 * ConvFirst blocks of one shape at stride 1, one behind the other, as one kernel. Parameters are those of
 * {@link ConvFirstOp}, with the block's number behind their names: `spatial0`, `up0`, … A residual is a block's own input.
 */
export interface ConvFirstChainOp {
  readonly type: 'convfirst-chain';
  readonly blocks: number;
  readonly groups: number;
  readonly kernelHeight: number;
  readonly kernelWidth: number;
  readonly hidden: number;
  readonly spatialBias: boolean;
  readonly hiddenBias: boolean;
  readonly activation: Activation;
  readonly epilogue: Epilogue;
}

/** Batch norm with its running statistics. Parameters `weight`, `bias`, `running_mean`, `running_var` [C], `num_batches_tracked`. */
export interface BatchNormOp {
  readonly type: 'batch-norm';
  readonly epsilon: number;
  readonly activation: Activation;
}

/** Layer norm over the channels of each pixel. Parameters `weight`, `bias` [C] if affine. */
export interface LayerNormOp {
  readonly type: 'layer-norm';
  readonly epsilon: number;
  readonly affine: boolean;
}

/** Element-wise chain over inputs of one shape: value = first input, then each step in turn. */
export interface ElementwiseOp {
  readonly type: 'elementwise';
  readonly steps: readonly ElementwiseStep[];
}

/** Layer scale: parameter `gamma` [C], one factor a channel. */
export interface LayerScaleOp {
  readonly type: 'layer-scale';
}

/** First input [N, H, W, C] times second input [N, 1, 1, C]: squeeze-and-excitation's gate. */
export interface ChannelScaleOp {
  readonly type: 'channel-scale';
}

/** Maximum or average over windows. */
export interface PoolOp {
  readonly type: 'pool';
  readonly kind: 'max' | 'average';
  readonly kernelHeight: number;
  readonly kernelWidth: number;
  readonly stride: number;
  readonly dilation: number;
  readonly padding: Padding;
  readonly countPadding: boolean;
}

/** Mean over all pixels: [N, H, W, C] → [N, 1, 1, C]. */
export interface GlobalPoolOp {
  readonly type: 'global-pool';
}

/** Softmax over channels. */
export interface SoftmaxOp {
  readonly type: 'softmax';
}

/** Triangle-3 low-pass filter, then stride. */
export interface BlurPoolOp {
  readonly type: 'blur-pool';
  readonly stride: number;
}

/** Bilinear resize. */
export interface ResizeOp {
  readonly type: 'resize';
  readonly height: number;
  readonly width: number;
  readonly alignCorners: boolean;
}

/** Concatenation along channels. */
export interface ConcatOp {
  readonly type: 'concat';
}

/** What a node computes, as data. */
export type Op =
  | InputOp
  | ConvOp
  | LinearOp
  | FfnOp
  | ConvFirstOp
  | ConvFirstChainOp
  | MBConvOp
  | BatchNormOp
  | LayerNormOp
  | ElementwiseOp
  | LayerScaleOp
  | ChannelScaleOp
  | PoolOp
  | GlobalPoolOp
  | SoftmaxOp
  | BlurPoolOp
  | ResizeOp
  | ConcatOp
  | TrainingOp;

/** Sizes that an op is lowered for. */
export interface Sizes {
  readonly inputs: readonly Shape[];
  readonly output: Shape;
  /** Floats from pixel to pixel for so many channels. */
  readonly pitch: (channels: number) => number;
}

/** A problem for the kernels, and which of its weights each of the node's parameters is. */
export interface Lowered {
  readonly problem: Problem;
  /** Names of the problem's inputs, in order of the node's inputs. */
  readonly inputs: readonly string[];
  /** Problem weight → node parameter, where the names differ. */
  readonly renamed?: Readonly<Record<string, string>>;
}

/** Everything about an op, in one place. Its meaning is that of the problem it lowers to (`graph/reference.ts`). */
export interface OpDefinition<O extends Op> {
  /** The output's shape. Throws `invalid-argument` for inputs that do not fit. */
  shape(op: O, inputs: readonly Shape[]): Shape;
  /** The problem that computes it. */
  lower(op: O, sizes: Sizes): Lowered;
  /**
   * Its vector-Jacobian product, as nodes. Absent where there is none: fused blocks are split first, and gradients
   * have no gradients themselves.
   */
  gradient?(node: NodeOf<O>, outputGradient: Node, g: GradientContext): Gradients;
}

/** A node whose op is known. */
export type NodeOf<O extends Op> = Node & { readonly op: O };

/** What a gradient is made with, and what of it is wanted: the rest need not be computed. */
export interface GradientContext {
  wantsInput(index: number): boolean;
  wantsParameter(name: string): boolean;
  /** A node named after the one whose gradient it is part of. */
  make(op: Op, inputs: readonly Node[], parameters?: Readonly<Record<string, Parameter>>): Node;
}

/** Gradients to what a node reads. */
export interface Gradients {
  /** In order of the node's inputs; undefined, or missing at the end, where none flows or is wanted. */
  readonly inputs: readonly (Node | undefined)[];
  /** [1, 1, 1, count] each, by the node's names of its parameters. */
  readonly parameters: Readonly<Record<string, Node>>;
}
