import { closable } from '../core/closable.ts';
import { invalidArgument } from '../core/errors.ts';
import { Random } from '../core/random.ts';
import { noSuchTensor } from './source.ts';
import type { KeyedShape, WeightSource } from './source.ts';

/**
 * Weights for tests and for trying a model out without a download: every value is a pure function of key, shape and
 * index. They are scaled by role, so that activations neither explode nor vanish, but mean nothing.
 */
export function syntheticWeights(parameters: Iterable<KeyedShape>): WeightSource & AsyncDisposable {
  const entries = new Map(
    [...parameters].map(({ key, shape }) => {
      const dtype = role(key) === 'num_batches_tracked' ? 'int64' : 'float32';
      return [key, { shape, dtype } as const];
    }),
  );
  const name = 'synthetic weights';
  return closable<WeightSource>({
    name,
    entries,
    read(key) {
      const entry = entries.get(key);
      if (entry === undefined) return Promise.reject(noSuchTensor(name, key));
      // Values follow in a promise's turn, so that errors reject.
      return Promise.resolve().then(() => syntheticValues(key, entry.shape));
    },
    close: () => Promise.resolve(),
  });
}

/**
 * A synthetic image: values in [-1, 1) that are numbered in the order [N, C, H, W], as PyTorch's would be, but laid
 * out as [N, H, W, C]. It is meant to go into a model as it is, without normalisation.
 */
export function syntheticInput(
  [batch, channels, height, width]: readonly [number, number, number, number],
  key = 'input',
): Float32Array {
  const random = new Random(key);
  const out = new Float32Array(batch * channels * height * width);
  let index = 0;
  for (let n = 0; n < batch; n++) {
    for (let c = 0; c < channels; c++) {
      for (let pixel = 0; pixel < height * width; pixel++) {
        out[(n * height * width + pixel) * channels + c] = random.signed(index++);
      }
    }
  }
  return out;
}

/** With t uniform in [-1, 1): value = offset + scale · t, by the parameter's role. */
function syntheticValues(key: string, shape: readonly number[]): Float32Array {
  const length = shape.reduce((a, b) => a * b, 1);
  const random = new Random(key);
  const affine = (offset: number, scale: number, factor = 1): Float32Array => {
    const out = new Float32Array(length);
    for (let i = 0; i < length; i++) out[i] = (offset + scale * random.signed(i)) * factor;
    return out;
  };
  switch (role(key)) {
    case 'weight':
      return shape.length >= 2
        ? random.array(length, weightScale(key, shape))
        : affine(1, 0.25, normFactor(key));
    case 'bias':
    case 'running_mean':
      return affine(0, 0.1);
    case 'running_var':
      return affine(1, 0.5);
    case 'gamma':
      return affine(0.5, 0.25);
    case 'num_batches_tracked':
      return new Float32Array(length);
    default:
      throw invalidArgument(`There are no synthetic weights for ${key}: its role is not known.`);
  }
}

/**
 * √(3g / fanIn) gives outputs the variance g of the inputs' mean square. The depthwise kernels of MobileNetV2 and
 * EfficientNet (`features.…`) have g = 7, to make up for what SiLU and squeeze-and-excitation gates take away.
 */
function weightScale(key: string, shape: readonly number[]): number {
  const fanIn = shape.slice(1).reduce((a, b) => a * b, 1);
  const gain = key.startsWith('features.') && shape.length === 4 && shape[1] === 1 ? 7 : 1;
  return Math.sqrt((3 * gain) / fanIn);
}

/** The norms that begin RepLKNet's residual branches are halved: 48 branches would add up. */
function normFactor(key: string): number {
  return key.endsWith('prelkb_bn.weight') || key.endsWith('preffn_bn.weight') ? 0.5 : 1;
}

function role(key: string): string {
  return key.slice(key.lastIndexOf('.') + 1);
}
