import type { Node, Parameter } from '../graph.ts';
import type { BatchNormOp, LayerNormOp, LayerScaleOp } from '../op.ts';
import { at } from '../tensors.ts';
import type { NodeOf } from './patterns.ts';
import { parameterOf } from './patterns.ts';

/** y[c] = scale[c] · x[c] + shift[c] for each channel c: what layers before or after can take into their weights. */
export interface ChannelAffine {
  /** The official name of the module that it comes from. */
  readonly module: string;
  readonly parameters: readonly Parameter[];
  /** Whether it has terms; else they are zero. */
  readonly hasShift: boolean;
  /** Its factors and terms in float64, from the values of `parameters` in order. */
  coefficients(values: readonly Float32Array[]): Coefficients;
}

export interface Coefficients {
  readonly scale: Float64Array;
  readonly shift: Float64Array;
}

/** Batch norm at inference: scale = weight / √(running_var + ε), shift = bias − running_mean · scale. */
export function batchNormAffine(node: NodeOf<BatchNormOp>): ChannelAffine {
  const { epsilon } = node.op;
  return {
    module: moduleOf(node),
    parameters: ['weight', 'bias', 'running_mean', 'running_var'].map((name) => parameterOf(node, name)),
    hasShift: true,
    coefficients([weight, bias, mean, variance]) {
      const scale = Float64Array.from(weight ?? [], (w, c) => w / Math.sqrt(valueAt(variance, c) + epsilon));
      const shift = scale.map((s, c) => valueAt(bias, c) - valueAt(mean, c) * s);
      return { scale, shift };
    },
  };
}

/** The weights of a layer norm, after it has normalised. */
export function layerNormAffine(node: NodeOf<LayerNormOp>): ChannelAffine {
  return {
    module: moduleOf(node),
    parameters: [parameterOf(node, 'weight'), parameterOf(node, 'bias')],
    hasShift: true,
    coefficients: ([weight, bias]) => ({
      scale: Float64Array.from(weight ?? []),
      shift: Float64Array.from(bias ?? []),
    }),
  };
}

/** Layer scale: factors alone. */
export function layerScaleAffine(node: NodeOf<LayerScaleOp>): ChannelAffine {
  const gamma = parameterOf(node, 'gamma');
  return {
    module: gamma.key,
    parameters: [gamma],
    hasShift: false,
    coefficients([values]) {
      const scale = Float64Array.from(values ?? []);
      return { scale, shift: new Float64Array(scale.length) };
    },
  };
}

/** Names of nodes need not be unique, keys of parameters are. */
function moduleOf(node: Node): string {
  return parameterOf(node, 'weight').key.replace(/\.weight$/, '');
}

function valueAt(values: Float32Array | undefined, index: number): number {
  return values === undefined ? NaN : at(values, index);
}
