import { checkRange } from './byte-source.ts';
import type { ByteSource } from './byte-source.ts';

/** Reads of up to `SMALL` bytes are served from a block of `BLOCK` bytes that is kept. */
const SMALL = 2 ** 15;
const BLOCK = 2 ** 17;

/**
 * The same bytes, with small neighbouring reads put together. Networks have many more small tensors than large ones,
 * and a trip to the file takes longer than the copy of some kilobytes.
 */
export function readAhead(source: ByteSource): ByteSource {
  let block:
    { readonly start: number; readonly end: number; readonly bytes: Promise<Uint8Array> } | undefined;
  return {
    name: source.name,
    size: source.size,
    async read(offset, length) {
      if (length > SMALL) return source.read(offset, length);
      checkRange(source, offset, length);
      if (block === undefined || offset < block.start || offset + length > block.end) {
        const end = Math.min(offset + BLOCK, source.size);
        block = { start: offset, end, bytes: source.read(offset, end - offset) };
      }
      const { start, bytes } = block;
      return new Uint8Array((await bytes).subarray(offset - start, offset - start + length));
    },
    close: () => source.close(),
  };
}
