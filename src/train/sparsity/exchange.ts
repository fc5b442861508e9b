import { chooseLargest, chooseRandom, indicesOf, onesOf } from './select.ts';
import type { Uniform } from './select.ts';

/** How weights that come in are chosen: at random (SET, SLaK), or where the gradient is largest (RigL). */
export type Growth = 'random' | 'gradient';

/** One layer, its mask included; views of the session's memory, which change in place. */
export interface LayerState {
  readonly values: Float32Array;
  /** 1 where a weight takes part, else 0. */
  readonly mask: Float32Array;
  readonly gradients: Float32Array;
}

/** What an exchange did. */
export interface Exchange {
  readonly pruned: number;
  readonly grown: number;
}

/**
 * Algorithm 1 of SLaK (Liu et al. 2023): the share `rate` of a layer's weights that are smallest in magnitude is pruned,
 * and as many come in among those that were inactive, so that their number stays exactly.
 *
 * A layer of which less is inactive exchanges that much; a dense layer exchanges nothing.
 *
 * @param started called with each weight that came in: it starts from zero, and so must its moments
 */
export function exchange(
  { values, mask, gradients }: LayerState,
  { rate, growth, uniform }: { readonly rate: number; readonly growth: Growth; readonly uniform: Uniform },
  started: (index: number) => void,
): Exchange {
  const active = indicesOf(mask, 1);
  const inactive = indicesOf(mask, 0);
  const count = Math.min(Math.ceil(rate * active.length), inactive.length);
  const at = (numbers: Float32Array, i: number): number => Math.abs(numbers[i] ?? 0);
  chooseLargest(
    active,
    count,
    (i) => -at(values, i),
    (i) => {
      mask[i] = 0;
      values[i] = 0;
    },
  );
  const start = (i: number): void => {
    mask[i] = 1;
    values[i] = 0;
    started(i);
  };
  if (growth === 'random') chooseRandom(inactive, count, uniform, start);
  else chooseLargest(inactive, count, (i) => at(gradients, i), start);
  return { pruned: count, grown: count };
}

/**
 * The same as the official code does it (sparse_core.py, funcs.py). Weights that come in are drawn independently over the
 * whole tensor, with the probability that brings as many as went on average, or-ed with the mask. So their number stays
 * only in expectation, and a weight that is drawn right after it was pruned keeps its value.
 *
 * @param uniform drawn once for each weight, in order; compared in float32
 */
export function exchangeOfficial(
  { values, mask }: Omit<LayerState, 'gradients'>,
  { rate, uniform }: { readonly rate: number; readonly uniform: Uniform },
): Exchange {
  const before = onesOf(mask);
  const zeros = mask.length - before;
  // Masked weights are zeros and come first.
  const order = Uint32Array.from(mask, (_, i) => i);
  const removed = zeros + Math.ceil(rate * before);
  chooseLargest(
    order,
    removed,
    (i) => -Math.abs(values[i] ?? 0),
    (i) => {
      mask[i] = 0;
    },
  );
  const left = onesOf(mask);
  const probability = Math.fround((before - left) / (mask.length - left));
  for (let i = 0; i < mask.length; i++) {
    if (Math.fround(uniform()) < probability) mask[i] = 1;
  }
  for (let i = 0; i < mask.length; i++) values[i] = (values[i] ?? 0) * (mask[i] ?? 0);
  return { pruned: before - left, grown: onesOf(mask) - left };
}
