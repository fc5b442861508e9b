/**
 * Counter-based random numbers: every value is a pure function of (key, index), so that data can be
 * made in any order and on any machine with the same bits.
 *
 * The hash is FNV-1a over the UTF-8 bytes of the key, then MurmurHash3's 32-bit finalizer over
 * `seed + index * 0x9E3779B9`.
 */
export class Random {
  readonly #seed: number;

  constructor(key: string) {
    this.#seed = fnv1a32(key);
  }

  /** The 32 random bits at `index`, as an unsigned integer. */
  bits(index: number): number {
    let h = (this.#seed + Math.imul(index, 0x9e3779b9)) | 0;
    h ^= h >>> 16;
    h = Math.imul(h, 0x85ebca6b);
    h ^= h >>> 13;
    h = Math.imul(h, 0xc2b2ae35);
    h ^= h >>> 16;
    return h >>> 0;
  }

  /** Uniform in [-1, 1), a multiple of 2^-23, exactly representable in float32. */
  signed(index: number): number {
    return 2 * ((this.bits(index) >>> 8) * 2 ** -24) - 1;
  }

  /** Fills a new array with `signed(0) * scale, signed(1) * scale, …`. */
  array(length: number, scale = 1): Float32Array {
    const out = new Float32Array(length);
    for (let i = 0; i < length; i++) out[i] = this.signed(i) * scale;
    return out;
  }
}

function fnv1a32(text: string): number {
  let hash = 2166136261;
  for (const byte of new TextEncoder().encode(text)) {
    hash = Math.imul(hash ^ byte, 16777619);
  }
  return hash >>> 0;
}
