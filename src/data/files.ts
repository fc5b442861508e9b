import { gunzipSync } from 'node:zlib';

import { openFileSource } from '../checkpoints/file-source.ts';
import { WidefieldError, invalidArgument } from '../core/errors.ts';

/** All bytes of a file. Throws `io`, and `invalid-argument` if there are more than `limit`. */
export async function readWhole(file: string, limit: number): Promise<Uint8Array> {
  const source = await openFileSource(file);
  try {
    const { size } = source;
    if (size > limit) {
      throw invalidArgument(`${file} has ${size} bytes, more than the ${limit} that are read at once.`);
    }
    return await source.read(0, size);
  } finally {
    await source.close();
  }
}

/** The first bytes of a file, at most `length`. Throws `io`. */
export async function readHead(file: string, length: number): Promise<Uint8Array> {
  const source = await openFileSource(file);
  try {
    return await source.read(0, Math.min(length, source.size));
  } finally {
    await source.close();
  }
}

export function isGzip(head: Uint8Array): boolean {
  return head[0] === 0x1f && head[1] === 0x8b;
}

/** What gzip compressed, or the bytes themselves. Throws `invalid-argument` if damaged or larger than `limit`. */
export function unzipped(name: string, bytes: Uint8Array, limit: number): Uint8Array {
  if (!isGzip(bytes)) return bytes;
  try {
    return asBytes(gunzipSync(bytes, { maxOutputLength: limit }));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new WidefieldError(
      'invalid-argument',
      `${name} cannot be decompressed (${reason}): get an intact copy.`,
      {
        cause: error,
      },
    );
  }
}

/** The same bytes, without what Node's class adds. */
export function asBytes(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
}
