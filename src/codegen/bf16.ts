/**
 * Pairs of bfloat16: the sign, exponent and first 7 bits of a float32's fraction, two of them in the 32 bits of a
 * lane. This is the meaning of `packBf16` and `dotBf16`; floats that hold pairs are moved by their bits, because
 * some have the bits of a signalling NaN, which a conversion to a number would change.
 */

/** The upper half of every NaN that is rounded. */
const QUIET_NAN = 0x7fc0;

/** Rounds to nearest even; lane i of the result holds `low[i]` in its low half and `high[i]` in its high half. */
export function packPairs(low: Float32Array, high: Float32Array): Float32Array {
  const [lowBits, highBits] = [bitsOf(low), bitsOf(high)];
  const pairs = new Uint32Array(low.length);
  for (let lane = 0; lane < pairs.length; lane++) {
    pairs[lane] = (round(highBits[lane] ?? 0) << 16) | round(lowBits[lane] ?? 0);
  }
  return new Float32Array(pairs.buffer);
}

/** The values in the low halves of pairs, exactly. */
export function lowHalves(pairs: Float32Array): Float32Array {
  const bits = bitsOf(pairs).slice();
  for (let lane = 0; lane < bits.length; lane++) bits[lane] = (bits[lane] ?? 0) << 16;
  return new Float32Array(bits.buffer);
}

/** The values in the high halves of pairs, exactly. */
export function highHalves(pairs: Float32Array): Float32Array {
  const bits = bitsOf(pairs).slice();
  for (let lane = 0; lane < bits.length; lane++) bits[lane] = (bits[lane] ?? 0) & 0xffff0000;
  return new Float32Array(bits.buffer);
}

/** The bfloat16 nearest to a float32, both as bits; of two equally near ones the even one. */
function round(bits: number): number {
  const isNan = (bits & 0x7fffffff) > 0x7f800000;
  return isNan ? QUIET_NAN : (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

function bitsOf(floats: Float32Array): Uint32Array {
  return new Uint32Array(floats.buffer, floats.byteOffset, floats.length);
}
