import { invalidArgument } from '../../core/errors.ts';

/** A mask as bits: weight i is bit i mod 8 of byte ⌊i / 8⌋. */
export function packBits(mask: Float32Array): Uint8Array {
  const bits = new Uint8Array(Math.ceil(mask.length / 8));
  mask.forEach((bit, i) => {
    if (bit !== 0) bits[i >> 3] = (bits[i >> 3] ?? 0) | (1 << (i & 7));
  });
  return bits;
}

/** Writes a mask from its bits. Throws `invalid-argument` if they are not as many. */
export function unpackBits(bits: Uint8Array, mask: Float32Array, key: string): void {
  if (bits.length !== Math.ceil(mask.length / 8)) {
    throw invalidArgument(
      `The mask of ${key} has ${bits.length} bytes where ${mask.length} weights need ${Math.ceil(mask.length / 8)}: resume with the model that was trained.`,
    );
  }
  for (let i = 0; i < mask.length; i++) mask[i] = ((bits[i >> 3] ?? 0) >> (i & 7)) & 1;
}
