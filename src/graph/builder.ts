import { invalidArgument } from '../core/errors.ts';
import { NO_EPILOGUE, samePadding } from '../kernels/problem.ts';
import type { Activation, Padding } from '../kernels/problem.ts';
import type { Graph, Node, Parameter, Shape } from './graph.ts';
import type { Op } from './op.ts';
import { definitionOf } from './ops/index.ts';

export interface ConvOptions {
  readonly outputs: number;
  /** One number for square kernels. */
  readonly kernel: number | readonly [height: number, width: number];
  readonly stride?: number;
  readonly dilation?: number;
  /** Default: 1. `'depthwise'`: as many as input channels. */
  readonly groups?: number | 'depthwise';
  /** Pixels on each side; default: ⌊kernel / 2⌋, dilated, which keeps the size at stride 1 if the kernel is odd. */
  readonly padding?: number;
  readonly bias?: boolean;
}

export interface PoolOptions {
  readonly kernel: number;
  readonly stride: number;
  readonly padding?: number;
}

/**
 * Builds a graph op by op, with shapes checked as it goes. Names are the modules' official names; parameters
 * get the keys `name.weight`, `name.bias`, …, as in a PyTorch state dict.
 */
export class GraphBuilder {
  readonly #name: string;
  readonly #outputs = new Map<string, Node>();
  readonly #keys = new Set<string>();
  #input: Node | undefined;

  constructor(name: string) {
    this.#name = name;
  }

  /** The network's input, [N, H, W, C]. Throws `invalid-argument` if it has one already. */
  input(shape: Shape): Node {
    if (this.#input !== undefined) throw invalidArgument(`The graph ${this.#name} has an input already.`);
    this.#input = { name: 'input', op: { type: 'input' }, inputs: [], parameters: {}, shape };
    return this.#input;
  }

  /** Convolution with parameters `name.weight` and, by default not, `name.bias`. */
  conv(x: Node, name: string, options: ConvOptions): Node {
    const { outputs, kernel, stride = 1, dilation = 1, bias = false } = options;
    const [kernelHeight, kernelWidth] = typeof kernel === 'number' ? [kernel, kernel] : kernel;
    const groups = options.groups === 'depthwise' ? x.shape[3] : (options.groups ?? 1);
    const padding =
      options.padding === undefined
        ? samePadding(kernelHeight, kernelWidth, dilation)
        : evenPadding(options.padding);
    const op: Op = {
      type: 'conv',
      outputs,
      groups,
      kernelHeight,
      kernelWidth,
      stride,
      dilation,
      padding,
      epilogue: { ...NO_EPILOGUE, bias },
    };
    return this.#node(name, op, [x], {
      weight: this.#parameter(`${name}.weight`, [outputs, x.shape[3] / groups, kernelHeight, kernelWidth]),
      ...(bias && { bias: this.#parameter(`${name}.bias`, [outputs]) }),
    });
  }

  /** Linear layer over the channels of each pixel, with a bias. */
  linear(x: Node, name: string, outputs: number): Node {
    const op: Op = { type: 'linear', outputs, epilogue: { ...NO_EPILOGUE, bias: true } };
    return this.#node(name, op, [x], {
      weight: this.#parameter(`${name}.weight`, [outputs, x.shape[3]]),
      bias: this.#parameter(`${name}.bias`, [outputs]),
    });
  }

  /** Batch norm with its running statistics. */
  batchNorm(x: Node, name: string, epsilon = 1e-5): Node {
    const channels = [x.shape[3]];
    return this.#node(name, { type: 'batch-norm', epsilon, activation: 'none' }, [x], {
      weight: this.#parameter(`${name}.weight`, channels),
      bias: this.#parameter(`${name}.bias`, channels),
      running_mean: this.#parameter(`${name}.running_mean`, channels, true),
      running_var: this.#parameter(`${name}.running_var`, channels, true),
      num_batches_tracked: this.#parameter(`${name}.num_batches_tracked`, [], true),
    });
  }

  /** Layer norm over the channels of each pixel. */
  layerNorm(x: Node, name: string, epsilon = 1e-6): Node {
    const channels = [x.shape[3]];
    return this.#node(name, { type: 'layer-norm', epsilon, affine: true }, [x], {
      weight: this.#parameter(`${name}.weight`, channels),
      bias: this.#parameter(`${name}.bias`, channels),
    });
  }

  activation(x: Node, activation: Activation): Node {
    return this.#node(activation, { type: 'elementwise', steps: [{ kind: 'activation', activation }] }, [x]);
  }

  relu(x: Node): Node {
    return this.activation(x, 'relu');
  }

  /** Sum of nodes of one shape. */
  add(...terms: readonly Node[]): Node {
    const steps = terms.slice(1).map(() => ({ kind: 'add' as const }));
    return this.#node('add', { type: 'elementwise', steps }, terms);
  }

  /** Layer scale: one factor a channel, under the parameter's own key (`stages.0.0.gamma`). */
  layerScale(x: Node, key: string): Node {
    return this.#node(key, { type: 'layer-scale' }, [x], { gamma: this.#parameter(key, [x.shape[3]]) });
  }

  /** x times a gate [N, 1, 1, C]. */
  channelScale(x: Node, gate: Node): Node {
    return this.#node('scale', { type: 'channel-scale' }, [x, gate]);
  }

  maxPool(x: Node, { kernel, stride, padding = 0 }: PoolOptions): Node {
    const op: Op = {
      type: 'pool',
      kind: 'max',
      kernelHeight: kernel,
      kernelWidth: kernel,
      stride,
      dilation: 1,
      padding: evenPadding(padding),
      countPadding: false,
    };
    return this.#node('maxpool', op, [x]);
  }

  globalPool(x: Node, name = 'avgpool'): Node {
    return this.#node(name, { type: 'global-pool' }, [x]);
  }

  softmax(x: Node): Node {
    return this.#node('softmax', { type: 'softmax' }, [x]);
  }

  blurPool(x: Node, stride: number): Node {
    return this.#node('blurpool', { type: 'blur-pool', stride }, [x]);
  }

  resize(x: Node, height: number, width: number, alignCorners = false): Node {
    return this.#node('resize', { type: 'resize', height, width, alignCorners }, [x]);
  }

  concat(...parts: readonly Node[]): Node {
    return this.#node('concat', { type: 'concat' }, parts);
  }

  /** Names a node as an output of the graph. Returns the node. */
  output(name: string, node: Node): Node {
    this.#outputs.set(name, node);
    return node;
  }

  /** The graph with all outputs named so far. */
  build(): Graph {
    if (this.#input === undefined || this.#outputs.size === 0) {
      throw invalidArgument(`The graph ${this.#name} needs an input and an output.`);
    }
    return { name: this.#name, input: this.#input, outputs: new Map(this.#outputs) };
  }

  #parameter(key: string, shape: readonly number[], buffer = false): Parameter {
    if (this.#keys.has(key)) throw invalidArgument(`The graph ${this.#name} has two parameters ${key}.`);
    this.#keys.add(key);
    return { key, shape, buffer };
  }

  #node(
    name: string,
    op: Op,
    inputs: readonly Node[],
    parameters: Readonly<Record<string, Parameter>> = {},
  ): Node {
    return makeNode(name, op, inputs, parameters);
  }
}

/** A node with the shape that its op's rule gives. Throws `invalid-argument`, naming the node, if inputs do not fit. */
export function makeNode(
  name: string,
  op: Op,
  inputs: readonly Node[],
  parameters: Readonly<Record<string, Parameter>> = {},
): Node {
  try {
    const shape = definitionOf(op).shape(
      op,
      inputs.map((input) => input.shape),
    );
    return { name, op, inputs, parameters, shape };
  } catch (error) {
    if (error instanceof Error) throw invalidArgument(`${name}: ${error.message}`);
    throw error;
  }
}

function evenPadding(pixels: number): Padding {
  return { top: pixels, bottom: pixels, left: pixels, right: pixels };
}
