import { elements } from '../graph.ts';
import type { Node, Parameter } from '../graph.ts';
import type { ChannelAffine } from './channel-affine.ts';
import { parameterOf, withEpilogue } from './patterns.ts';
import type { Layer } from './patterns.ts';

/**
 * What a layer's weights become when a scale and shift of channels is taken into them. Sums are in float64
 * and rounded once, to float32, when they are stored.
 */

/** The layer followed by the affine map: W′ = diag(scale) · W, b′ = scale · b + shift. The layer's epilogue must be affine. */
export function foldAfter(layer: Layer, affine: ChannelAffine): Layer {
  const weight = parameterOf(layer, 'weight');
  const { bias } = layer.parameters;
  const { outputs } = layer.op;
  const foldedWeight = derive(weight.key, weight.shape, affine, [weight], ([w = NONE], rest) => {
    const { scale } = affine.coefficients(rest);
    const out = new Float32Array(w.length);
    const perOutput = w.length / outputs;
    for (let o = 0, i = 0; o < outputs; o++) {
      const factor = scale[o] ?? NaN;
      for (const end = i + perOutput; i < end; i++) out[i] = (w[i] ?? NaN) * factor;
    }
    return out;
  });
  if (bias === undefined && !affine.hasShift) return withWeights(layer, { weight: foldedWeight });
  const biases = bias === undefined ? [] : [bias];
  const foldedBias = derive(biasKey(layer), [outputs], affine, biases, ([b], rest) => {
    const { scale, shift } = affine.coefficients(rest);
    return Float32Array.from(scale, (s, o) => (b === undefined ? 0 : s * (b[o] ?? NaN)) + (shift[o] ?? NaN));
  });
  return withWeights(layer, { weight: foldedWeight, bias: foldedBias });
}

/**
 * The layer fed by the affine map of `input`: W′ = W · diag(scale), b′ = b + W · shift. No tap may fall on
 * padding, because the map would not keep its zeros.
 */
export function foldBefore(layer: Layer, affine: ChannelAffine, input: Node): Layer {
  const weight = parameterOf(layer, 'weight');
  const { bias } = layer.parameters;
  const { outputs } = layer.op;
  const groups = layer.op.type === 'conv' ? layer.op.groups : 1;
  const groupInputs = weight.shape[1] ?? 1;
  const taps = elements(weight.shape.slice(2));
  const columns = groupInputs * taps;
  // Where the factors of an output's group begin, once every channel's is repeated for each of its taps.
  const firstColumn = (o: number): number => Math.floor((o * groups) / outputs) * columns;

  const foldedWeight = derive(weight.key, weight.shape, affine, [weight], ([w = NONE], rest) => {
    const factors = repeatEach(affine.coefficients(rest).scale, taps);
    const out = new Float32Array(w.length);
    for (let o = 0, i = 0; o < outputs; o++) {
      for (let j = firstColumn(o), end = j + columns; j < end; j++, i++) {
        out[i] = (w[i] ?? NaN) * (factors[j] ?? NaN);
      }
    }
    return out;
  });
  const sources = bias === undefined ? [weight] : [weight, bias];
  const foldedBias = derive(biasKey(layer), [outputs], affine, sources, ([w = NONE, b], rest) => {
    const terms = repeatEach(affine.coefficients(rest).shift, taps);
    const out = new Float32Array(outputs);
    for (let o = 0, i = 0; o < outputs; o++) {
      let sum = b === undefined ? 0 : (b[o] ?? NaN);
      for (let j = firstColumn(o), end = j + columns; j < end; j++, i++) {
        sum += (w[i] ?? NaN) * (terms[j] ?? NaN);
      }
      out[o] = sum;
    }
    return out;
  });
  const moved = { ...layer, inputs: [input, ...layer.inputs.slice(1)] };
  return withWeights(moved, { weight: foldedWeight, bias: foldedBias });
}

const NONE = new Float32Array(0);

function repeatEach(values: Float64Array, times: number): Float64Array {
  return Float64Array.from({ length: values.length * times }, (_, i) => values[Math.floor(i / times)] ?? NaN);
}

function withWeights(layer: Layer, folded: Readonly<Record<string, Parameter>>): Layer {
  const parameters = { ...layer.parameters, ...folded };
  return { ...withEpilogue(layer, { bias: 'bias' in parameters }), parameters };
}

/** `key with module` is as unique as the two names that it is made of. */
function derive(
  key: string,
  shape: readonly number[],
  affine: ChannelAffine,
  from: readonly Parameter[],
  compute: (own: readonly Float32Array[], affine: readonly Float32Array[]) => Float32Array,
): Parameter {
  return {
    key: `${key} with ${affine.module}`,
    shape,
    buffer: false,
    derivation: {
      from: [...from, ...affine.parameters],
      compute: (values) => compute(values.slice(0, from.length), values.slice(from.length)),
    },
  };
}

/** The key of the layer's bias, or that which it would have. */
function biasKey(layer: Layer): string {
  return (
    layer.parameters['bias']?.key ?? parameterOf(layer, 'weight').key.replace(/\bweight( with |$)/, 'bias$1')
  );
}
