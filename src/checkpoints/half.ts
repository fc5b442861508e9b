/**
 * The two 16-bit floats, as bits: float16 (IEEE binary16: 5 bits of exponent, 10 of fraction) and bfloat16 (the
 * upper half of a float32). Widening is exact; narrowing rounds to nearest, ties to even, and keeps NaN a NaN.
 */

export function bfloat16ToFloat32(bits: Uint16Array): Float32Array {
  const out = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) out[i] = (bits[i] ?? 0) << 16;
  return new Float32Array(out.buffer);
}

export function float32ToBfloat16(values: Float32Array): Uint16Array {
  const bits = bitsOf(values);
  const out = new Uint16Array(bits.length);
  for (let i = 0; i < bits.length; i++) {
    const b = bits[i] ?? 0;
    const isNaN = (b & 0x7fffffff) > 0x7f800000;
    // Adding just under half a unit, or exactly half if the last bit kept is odd, carries where rounding goes up.
    out[i] = isNaN ? (b >>> 16) | 0x40 : (b + 0x7fff + ((b >>> 16) & 1)) >>> 16;
  }
  return out;
}

export function float16ToFloat32(bits: Uint16Array): Float32Array {
  const values = new Float32Array(bits.length);
  const out = new Uint32Array(values.buffer);
  for (let i = 0; i < bits.length; i++) {
    const h = bits[i] ?? 0;
    const sign = (h & 0x8000) << 16;
    const magnitude = h & 0x7fff;
    if (magnitude < 0x400) {
      // Subnormal: a multiple of 2^-24, which float32 holds as a normal number.
      values[i] = magnitude * 2 ** -24;
      out[i] = (out[i] ?? 0) | sign;
    } else if (magnitude < 0x7c00) {
      // Exponents are biased by 15 and by 127.
      out[i] = sign | ((magnitude << 13) + ((127 - 15) << 23));
    } else {
      out[i] = sign | 0x7f800000 | (magnitude << 13);
    }
  }
  return values;
}

export function float32ToFloat16(values: Float32Array): Uint16Array {
  const bits = bitsOf(values);
  const out = new Uint16Array(bits.length);
  for (let i = 0; i < bits.length; i++) {
    const b = bits[i] ?? 0;
    out[i] = ((b >>> 16) & 0x8000) | halfMagnitude(b & 0x7fffffff);
  }
  return out;
}

/** float16 bits of a non-negative float32 given as bits. */
function halfMagnitude(b: number): number {
  if (b > 0x7f800000) return 0x7e00 | ((b >>> 13) & 0x3ff); // NaN, made quiet
  if (b >= 0x477ff000) return 0x7c00; // 65520 and more round to infinity
  if (b >= 0x38800000) {
    // Normal, from 2^-14: drop 13 bits with the carry trick above, after changing the bias.
    const rebiased = b - ((127 - 15) << 23);
    return (rebiased + 0xfff + ((rebiased >>> 13) & 1)) >>> 13;
  }
  // Subnormal: the fraction with its leading one, in units of 2^-24, rounded.
  const exponent = b >>> 23;
  const shift = 126 - exponent; // 14 at exponent 112 (2^-15), 24 at 102 (2^-25)
  if (shift > 24) return 0;
  const fraction = (b & 0x7fffff) | 0x800000;
  const kept = fraction >>> shift;
  const rest = fraction & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  return rest > half || (rest === half && (kept & 1) === 1) ? kept + 1 : kept;
}

function bitsOf(values: Float32Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length);
}

/** How many finite values float16 rounds to infinity: its largest is 65,504, and 65,520 is half-way to 2¹⁶. */
export function countBeyondHalf(values: Float32Array): number {
  return values.reduce((count, x) => count + (Math.abs(x) >= 65520 && Math.abs(x) < Infinity ? 1 : 0), 0);
}
