import { invalidArgument } from './errors.ts';

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
    this.#seed = hashText(key);
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

/** 32 bits of a text: FNV-1a over its UTF-8 bytes. */
export function hashText(text: string): number {
  return hashBytes(new TextEncoder().encode(text));
}

/** 32 bits of bytes: FNV-1a, which goes on from the hash of what is before them. */
export function hashBytes(bytes: Uint8Array, before = 2166136261): number {
  let hash = before;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 16777619);
  return hash >>> 0;
}

/**
 * A sequence of random numbers that its three seeds determine, 32 bits each; different seeds give sequences that never
 * coincide for long. So whatever is random about a sample can follow from (seed, epoch, index), wherever it is prepared.
 *
 * Chris Doty-Humphrey's sfc32: 128 bits of state, of which one word counts, so that no period is below 2^32.
 */
export class RandomStream {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;
  /** The second of the last pair of normal numbers, if it has not been used. */
  #spare: number | undefined;

  constructor(seed: number, epoch = 0, index = 0) {
    this.#a = seed | 0;
    this.#b = epoch | 0;
    this.#c = index | 0;
    for (let i = 0; i < 15; i++) this.bits(); // until every seed bit has reached every state bit
  }

  /** 32 random bits, as an unsigned integer. */
  bits(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  /** Uniform in [low, high), a multiple of (high − low) · 2^-32. */
  uniform(low = 0, high = 1): number {
    return low + (high - low) * (this.bits() * 2 ** -32);
  }

  /**
   * Uniform among the integers 0 … count − 1: without bias, by rejection.
   * Throws `invalid-argument` unless `count` is an integer from 1 to 2^32.
   */
  below(count: number): number {
    if (!Number.isInteger(count) || count < 1 || count > 2 ** 32) {
      throw invalidArgument(`Random numbers must be below an integer from 1 to 2^32, got ${count}.`);
    }
    const limit = 2 ** 32 - (2 ** 32 % count);
    for (;;) {
      const bits = this.bits();
      if (bits < limit) return bits % count;
    }
  }

  /** Whether something of this probability happens. */
  chance(probability: number): boolean {
    return this.uniform() < probability;
  }

  /** Normally distributed (Box and Muller's transform). */
  normal(mean = 0, deviation = 1): number {
    const spare = this.#spare;
    if (spare !== undefined) {
      this.#spare = undefined;
      return mean + deviation * spare;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    const angle = 2 * Math.PI * this.uniform();
    this.#spare = radius * Math.sin(angle);
    return mean + deviation * radius * Math.cos(angle);
  }

  /** Puts what lies in [start, end) into random order, in place (Fisher and Yates). */
  shuffle<T extends { [index: number]: number }>(values: T, start: number, end: number): T {
    for (let i = end - 1; i > start; i--) {
      const j = start + this.below(i - start + 1);
      const value = values[i] as number;
      values[i] = values[j] as number;
      values[j] = value;
    }
    return values;
  }
}
