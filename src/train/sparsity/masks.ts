import { erkDensities, snipSensitivity } from './density.ts';
import type { DensityRule, LayerShape, SensitiveLayer } from './density.ts';
import type { LayerState } from './exchange.ts';
import { chooseLargest, chooseRandom } from './select.ts';
import type { Uniform } from './select.ts';

/** A layer that is to get a mask. */
export interface MaskedLayer extends LayerShape, LayerState {}

export interface FirstMaskOptions {
  readonly rule: DensityRule;
  /** Share of all masked weights that remain. */
  readonly density: number;
  /** Random numbers for a layer. */
  readonly uniformOf: (key: string) => Uniform;
}

/**
 * Writes the first masks. `snip` keeps the weights of the largest scores themselves, over all layers; `erk` and `uniform`
 * keep round(density · weights) of each layer, at random. So the number of weights is exact.
 */
export function firstMasks(layers: readonly MaskedLayer[], options: FirstMaskOptions): void {
  if (options.rule === 'snip') {
    const { scores, keep } = snipSensitivity(layers, options.density);
    const kept = new Uint8Array(scores.length);
    chooseLargest(
      Uint32Array.from(scores, (_, i) => i),
      keep,
      (i) => scores[i] ?? 0,
      (i) => (kept[i] = 1),
    );
    let start = 0;
    for (const { mask } of layers) {
      mask.set(kept.subarray(start, start + mask.length));
      start += mask.length;
    }
    return;
  }
  const densities = layerDensities(layers, options);
  for (const { key, mask } of layers) {
    const count = Math.round((densities.get(key) ?? 1) * mask.length);
    mask.fill(0);
    chooseRandom(
      Uint32Array.from(mask, (_, i) => i),
      count,
      options.uniformOf(key),
      (i) => (mask[i] = 1),
    );
  }
}

/** Layers with at least this share of their weights lose their mask in the official code. */
const DENSE_FROM = 0.99;

/**
 * The same as the official code does it: each weight of a layer remains with the probability of the layer's density,
 * independently. With `snip` that is the share of scores strictly above the threshold; which weights they are is thrown away.
 *
 * @returns keys of layers that came out with 99% or more: they are dense from now on
 */
export function firstMasksOfficial(layers: readonly MaskedLayer[], options: FirstMaskOptions): string[] {
  const densities = layerDensities(layers, options);
  const dense: string[] = [];
  for (const { key, mask } of layers) {
    const density = Math.fround(densities.get(key) ?? 1);
    const uniform = options.uniformOf(key);
    let ones = 0;
    for (let i = 0; i < mask.length; i++) {
      const bit = Math.fround(uniform()) < density ? 1 : 0;
      mask[i] = bit;
      ones += bit;
    }
    if (ones / mask.length < DENSE_FROM) continue;
    mask.fill(1);
    dense.push(key);
  }
  return dense;
}

function layerDensities(
  layers: readonly MaskedLayer[],
  { rule, density }: FirstMaskOptions,
): Map<string, number> {
  switch (rule) {
    case 'uniform':
      return new Map(layers.map(({ key }) => [key, density]));
    case 'erk':
      return erkDensities(layers, density);
    case 'snip':
      return snipDensities(layers, density);
  }
}

/** Each layer's share of scores above SNIP's threshold. */
export function snipDensities(layers: readonly SensitiveLayer[], density: number): Map<string, number> {
  const { scores, threshold } = snipSensitivity(layers, density);
  let start = 0;
  return new Map(
    layers.map(({ key, values }) => {
      const own = scores.subarray(start, (start += values.length));
      // The official code subtracts the share of the others from one.
      return [key, 1 - own.reduce((count, score) => count + (score > threshold ? 0 : 1), 0) / own.length];
    }),
  );
}
