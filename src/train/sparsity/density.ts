import { WidefieldError } from '../../core/errors.ts';
import { elements } from '../../graph/graph.ts';
import { selectRank } from './select.ts';

/** How the weights that remain are distributed over layers. */
export type DensityRule = 'snip' | 'erk' | 'uniform';

/** A layer's name and PyTorch's shape of its weight. */
export interface LayerShape {
  readonly key: string;
  readonly shape: readonly number[];
}

/**
 * Erdős–Rényi kernels (Mocanu et al. 2018, Evci et al. 2020): densities proportional to Σ shape / Π shape, so that
 * small layers stay dense, scaled so that `density` of all weights remain. Layers that would have more than all of their
 * weights are dense, and the others are scaled again.
 *
 * @returns each layer's density, by key
 */
export function erkDensities(layers: readonly LayerShape[], density: number): Map<string, number> {
  const raw = ({ shape }: LayerShape): number => shape.reduce((a, b) => a + b, 0) / elements(shape);
  const dense = new Set<LayerShape>();
  for (;;) {
    let wanted = 0;
    let divisor = 0;
    let largest = 0;
    for (const layer of layers) {
      const weights = elements(layer.shape);
      if (dense.has(layer)) {
        wanted -= weights * (1 - density);
      } else {
        wanted += weights * density;
        divisor += raw(layer) * weights;
        largest = Math.max(largest, raw(layer));
      }
    }
    const scale = divisor > 0 ? wanted / divisor : 0;
    if (largest * scale <= 1) {
      return new Map(layers.map((layer) => [layer.key, dense.has(layer) ? 1 : scale * raw(layer)]));
    }
    for (const layer of layers) if (raw(layer) === largest) dense.add(layer);
  }
}

/** A layer as SNIP sees it. */
export interface SensitiveLayer {
  readonly key: string;
  readonly values: Float32Array;
  /** Of the loss of one batch. */
  readonly gradients: Float32Array;
}

export interface Sensitivity {
  /** |w · ∂L/∂w| of every weight, layer after layer. */
  readonly scores: Float32Array;
  /** Weights that are to remain: the share `density` of all, rounded down. */
  readonly keep: number;
  /** The smallest score among the `keep` largest. */
  readonly threshold: number;
}

/**
 * SNIP (Lee et al. 2019): how much the loss would feel that a weight is gone, and the threshold over all layers above
 * which `density` of the weights lie.
 *
 * Throws `invalid-argument` if a gradient is not finite.
 */
export function snipSensitivity(layers: readonly SensitiveLayer[], density: number): Sensitivity {
  const scores = new Float32Array(layers.reduce((sum, { values }) => sum + values.length, 0));
  let next = 0;
  for (const { key, values, gradients } of layers) {
    for (let i = 0; i < values.length; i++) {
      const score = Math.abs((values[i] ?? 0) * (gradients[i] ?? 0));
      if (!Number.isFinite(score)) {
        throw new WidefieldError(
          'invalid-argument',
          `SNIP needs finite gradients, and that of ${key} is not: check the starting weights and the images, or use the density 'erk'.`,
        );
      }
      scores[next++] = score;
    }
  }
  const keep = Math.floor(scores.length * density);
  const threshold = selectRank(scores.slice(), Math.max(0, scores.length - Math.max(keep, 1)));
  return { scores, keep, threshold };
}
