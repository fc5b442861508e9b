import { invalidArgument } from '../core/errors.ts';
import type { ConvOptions, GraphBuilder } from '../graph/builder.ts';
import type { Node } from '../graph/graph.ts';
import type { Activation } from '../kernels/problem.ts';

export interface ConvBatchNormOptions extends ConvOptions {
  readonly activation?: Activation;
  /** Added to the variance; default 1e-5. */
  readonly epsilon?: number;
}

/** Convolution, batch norm and activation; the names are those of the convolution and of the norm. */
export function convBatchNorm(
  b: GraphBuilder,
  x: Node,
  [conv, norm]: readonly [conv: string, norm: string],
  { activation = 'none', epsilon = 1e-5, ...options }: ConvBatchNormOptions,
): Node {
  const y = b.batchNorm(b.conv(x, conv, options), norm, epsilon);
  return activation === 'none' ? y : b.activation(y, activation);
}

/** Squeeze and excitation: x times a gate from its own means, through `name.fc1` and `name.fc2`. */
export function squeezeExcite(
  b: GraphBuilder,
  x: Node,
  name: string,
  { squeeze, activation }: { readonly squeeze: number; readonly activation: Activation },
): Node {
  const means = b.globalPool(x, `${name}.avgpool`);
  const squeezed = b.activation(
    b.conv(means, `${name}.fc1`, { outputs: squeeze, kernel: 1, padding: 0, bias: true }),
    activation,
  );
  const excited = b.conv(squeezed, `${name}.fc2`, { outputs: x.shape[3], kernel: 1, padding: 0, bias: true });
  return b.channelScale(x, b.activation(excited, 'sigmoid'));
}

/** The nearest multiple of 8, but at least 90% of `channels`: how the MobileNets round widths. */
export function roundChannels(channels: number): number {
  const rounded = Math.max(8, Math.floor((channels + 4) / 8) * 8);
  return rounded < 0.9 * channels ? rounded + 8 : rounded;
}

/**
 * Throws `invalid-argument` unless all sizes are positive integers, and lists of them have a value for each stage.
 *
 * @param sizes by the names that the family's configuration has for them
 */
export function checkSizes(
  network: string,
  stages: number,
  sizes: Readonly<Record<string, number | readonly number[]>>,
): void {
  for (const [name, value] of Object.entries(sizes)) {
    const values = typeof value === 'number' ? [value] : value;
    if (typeof value !== 'number' && value.length !== Math.max(stages, 1)) {
      throw invalidArgument(
        `The ${name} of ${network} must be ${Math.max(stages, 1)} values, one for each stage, got ${value.length}.`,
      );
    }
    const bad = values.find((each) => !Number.isSafeInteger(each) || each < 1);
    if (bad !== undefined) {
      throw invalidArgument(`The ${name} of ${network} must be positive integers, got ${bad}.`);
    }
  }
}

/** Throws `invalid-argument` unless all kernel sizes are odd: others have no centre, and would change the map's size. */
export function checkOddKernels(network: string, kernels: readonly number[]): void {
  for (const kernel of kernels) {
    if (!Number.isSafeInteger(kernel) || kernel < 1 || kernel % 2 === 0) {
      throw invalidArgument(`The kernel sizes of ${network} must be odd, got ${kernel}.`);
    }
  }
}
