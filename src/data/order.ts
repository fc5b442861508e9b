import { RandomStream } from '../core/random.ts';
import type { Dataset } from './dataset.ts';

/** A stream that no sample uses: sample indices are below it. */
const ORDER_STREAM = 0xffffffff;

/** How many groups are mixed with each other, so that as many need be open, or in memory, at a time. */
export const MIXED_GROUPS = 8;

/**
 * The order in which an epoch visits the samples: as they are stored, or random, depending on seed and epoch alone.
 *
 * Of a dataset in groups, the groups are shuffled, and then the samples of each {@link MIXED_GROUPS} groups that
 * follow one another, among each other: every group is read once, and batches still mix.
 */
export function sampleOrder(dataset: Dataset, shuffle: boolean, seed: number, epoch: number): Uint32Array {
  if (!shuffle) return Uint32Array.from({ length: dataset.length }, (_, i) => i);
  const random = new RandomStream(seed, epoch, ORDER_STREAM);
  const { groups } = dataset;
  const groupOrder = random.shuffle(Uint32Array.from(groups.keys()), 0, groups.length);
  const order = new Uint32Array(dataset.length);
  let filled = 0;
  let mixed = 0;
  groupOrder.forEach((group, i) => {
    const { start, length } = groups[group] ?? { start: 0, length: 0 };
    for (let k = 0; k < length; k++) order[filled++] = start + k;
    if ((i + 1) % MIXED_GROUPS === 0 || i === groups.length - 1) {
      random.shuffle(order, mixed, filled);
      mixed = filled;
    }
  });
  return order;
}

/**
 * The part of an order that falls to one of several workers: positions rank, rank + worldSize, …, so that the workers'
 * n-th batches together hold what one worker's n-th batch would hold if it were as large as all of theirs.
 *
 * All parts have the same length. Unless the order divides, the last ones are left out (`dropLast`), or the first ones
 * are taken again.
 */
export function shardOrder(
  order: Uint32Array,
  rank: number,
  worldSize: number,
  dropLast: boolean,
): Uint32Array {
  if (worldSize === 1) return order;
  const length = (dropLast ? Math.floor : Math.ceil)(order.length / worldSize);
  return Uint32Array.from({ length }, (_, i) => order[(i * worldSize + rank) % order.length] ?? 0);
}
