/**
 * fround(a · b + c) of float32 operands, rounded once.
 *
 * a · b is exact in float64 (24 + 24 ≤ 53 bits), its sum with c is not. Rounding that sum to odd instead of
 * to nearest makes the second rounding, to float32, correct (Boldo and Melquiond, "Emulation of FMA and
 * correctly rounded sums", 2008).
 */
export function fusedMultiplyAdd(a: number, b: number, c: number): number {
  const product = a * b;
  const sum = product + c;
  // Knuth's TwoSum: product + c = sum + error, exactly.
  const cRounded = sum - product;
  const error = product - (sum - cRounded) + (c - cRounded);
  if (!Number.isFinite(sum) || error === 0 || Number.isNaN(error)) return Math.fround(sum);
  return Math.fround(toOdd(sum, error));
}

/** The float64 next to `sum` in the direction of `error` if that one has an odd last bit, else `sum` itself. */
function toOdd(sum: number, error: number): number {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, sum);
  const bits = view.getBigInt64(0);
  if ((bits & 1n) === 1n) return sum;
  // Magnitudes grow with the bits, whatever the sign.
  view.setBigInt64(0, bits + (error > 0 === sum > 0 ? 1n : -1n));
  return view.getFloat64(0);
}
