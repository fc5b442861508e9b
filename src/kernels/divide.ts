/**
 * ⌈n / ⌈n / most⌉⌉, which answers two questions: how large the largest part is if n is cut into as few about equal parts
 * of at most `most` as there can be; and how many parts there are, none of them empty, if n is cut into parts of one
 * size (the last one may be smaller), as small as `most` parts allow.
 */
export function evenly(n: number, most: number): number {
  return Math.ceil(n / Math.ceil(n / most));
}

/** The parts of `size` in tiles: how many of which length; the last one may be shorter. */
export function tileParts(size: number, tile: number): readonly (readonly [count: number, length: number])[] {
  const rest = size % tile;
  return [[Math.floor(size / tile), tile] as const, ...(rest > 0 ? [[1, rest] as const] : [])];
}

export function largestDivisor(n: number, atMost: number): number {
  for (let d = Math.min(n, atMost); d > 1; d--) if (n % d === 0) return d;
  return 1;
}

/** The next multiple of a unit. */
export function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}

/** The greatest common divisor. */
export function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}
