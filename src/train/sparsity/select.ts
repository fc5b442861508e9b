/*
 * Which weights of a layer: by size, or at random. All is a function of its arguments, so that a resumed run
 * chooses alike on any machine.
 */

/** The value that would stand at `rank` (from 0) if `values` were sorted upwards. Reorders them (Hoare's quickselect). */
export function selectRank(values: Float32Array, rank: number): number {
  const at = (i: number): number => values[i] ?? 0;
  let low = 0;
  let high = values.length - 1;
  while (low < high) {
    const pivot = median(at(low), at((low + high) >> 1), at(high));
    let i = low;
    let j = high;
    while (i <= j) {
      while (at(i) < pivot) i++;
      while (at(j) > pivot) j--;
      if (i > j) break;
      const value = at(i);
      values[i++] = at(j);
      values[j--] = value;
    }
    if (rank <= j) high = j;
    else if (rank >= i) low = i;
    else break;
  }
  return at(rank);
}

function median(a: number, b: number, c: number): number {
  return Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
}

/**
 * Calls `choose` for the `count` candidates with the largest scores, in order of index; among equal scores at the edge,
 * the first.
 *
 * @param candidates indices that `score` is asked for
 */
export function chooseLargest(
  candidates: Uint32Array,
  count: number,
  score: (index: number) => number,
  choose: (index: number) => void,
): void {
  if (count <= 0) return;
  const scores = Float32Array.from(candidates, score);
  const threshold = selectRank(scores.slice(), scores.length - Math.min(count, scores.length));
  let atEdge = count;
  for (const value of scores) if (value > threshold) atEdge--;
  candidates.forEach((index, i) => {
    const value = scores[i] ?? 0;
    if (value > threshold || (value === threshold && atEdge-- > 0)) choose(index);
  });
}

/** A source of uniform random numbers in [0, 1). */
export type Uniform = () => number;

/** Calls `choose` for `count` of the candidates, every subset of that size being as likely (Knuth's algorithm S). */
export function chooseRandom(
  candidates: Uint32Array,
  count: number,
  uniform: Uniform,
  choose: (index: number) => void,
): void {
  let wanted = count;
  candidates.forEach((index, i) => {
    if (uniform() * (candidates.length - i) >= wanted) return;
    wanted--;
    choose(index);
  });
}

/** The indices at which a mask has this value. */
export function indicesOf(mask: Float32Array, value: 0 | 1): Uint32Array {
  const found = new Uint32Array(mask.length);
  let count = 0;
  mask.forEach((bit, i) => {
    if (bit === value) found[count++] = i;
  });
  return found.subarray(0, count);
}

export function onesOf(mask: Float32Array): number {
  let ones = 0;
  for (const bit of mask) ones += bit;
  return ones;
}
