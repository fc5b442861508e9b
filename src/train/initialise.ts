import { RandomStream, hashText } from '../core/random.ts';
import { elements } from '../graph/graph.ts';
import type { Parameter } from '../graph/graph.ts';

/**
 * How weights start:
 * - `truncated-normal`: deviation 0.02, cut at ±2 (the official ConvNeXt and SLaK);
 * - `uniform`: ±1 / √fanIn, PyTorch's default for convolutions and linear layers (RepLKNet);
 * - `he-normal`: deviation √(2 / fanIn) (He et al. 2015, eq. 10), for small networks that are trained for short.
 */
export type InitialScheme = 'truncated-normal' | 'uniform' | 'he-normal';

export interface InitialOptions {
  readonly seed: number;
  /** Default: `truncated-normal`. */
  readonly scheme?: InitialScheme;
  /** Layer scales; default 1e-6. */
  readonly layerScale?: number;
}

/**
 * The values that a parameter starts with: a function of its key, its shape and the seed. Biases, means and norms' biases
 * are 0, norms' weights and variances 1.
 */
export function initialValues({ key, shape }: Parameter, options: InitialOptions): Float32Array {
  const { seed, scheme = 'truncated-normal', layerScale = 1e-6 } = options;
  const values = new Float32Array(elements(shape));
  const role = key.slice(key.lastIndexOf('.') + 1);
  if (role === 'gamma') return values.fill(layerScale);
  if (role === 'running_var') return values.fill(1);
  if (role !== 'weight') return values;
  if (shape.length < 2) return values.fill(1);
  const random = new RandomStream(seed, hashText(key), values.length);
  const fanIn = elements(shape.slice(1));
  const draw: Readonly<Record<InitialScheme, () => number>> = {
    'truncated-normal': () => truncatedNormal(random, DEVIATION),
    uniform: () => random.uniform(-1, 1) / Math.sqrt(fanIn),
    'he-normal': () => random.normal(0, Math.sqrt(2 / fanIn)),
  };
  return values.map(draw[scheme]);
}

const DEVIATION = 0.02;
/** timm's and ConvNeXt's `trunc_normal_` cuts at ±2 whatever the deviation, which at 0.02 cuts nothing. */
const CUT = 2;

function truncatedNormal(random: RandomStream, deviation: number): number {
  for (;;) {
    const value = random.normal(0, deviation);
    if (Math.abs(value) <= CUT) return value;
  }
}
