import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';

import { WidefieldError } from '../core/errors.ts';
import { asError, checkRange, truncated } from './byte-source.ts';
import type { ByteSource } from './byte-source.ts';

/** The most bytes that Node reads in one call, well below its limit of 2^31 - 1. */
const MAX_READ = 2 ** 30;

/** Opens a file for reading with random access. Throws `io` if it cannot be opened. */
export async function openFileSource(path: string): Promise<ByteSource> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, 'r');
    const stat = await file.stat();
    if (!stat.isFile()) throw new Error('it is not a file');
    return fileSource(file, path, stat.size);
  } catch (error) {
    await file?.close();
    throw new WidefieldError('io', `${path} cannot be read: ${explain(error)}.`, { cause: error });
  }
}

function fileSource(file: FileHandle, path: string, size: number): ByteSource {
  const source: ByteSource = {
    name: path,
    size,
    async read(offset, length) {
      checkRange(source, offset, length);
      // Every byte is written before anyone sees it, so memory need not be cleared first.
      const bytes = new Uint8Array(Buffer.allocUnsafeSlow(length).buffer);
      let done = 0;
      while (done < length) {
        let count: number;
        try {
          const wanted = Math.min(length - done, MAX_READ);
          ({ bytesRead: count } = await file.read(bytes, done, wanted, offset + done));
        } catch (error) {
          throw new WidefieldError('io', `${path} cannot be read: ${explain(error)}.`, { cause: error });
        }
        // The file was cut short since it was opened.
        if (count === 0) throw truncated(source);
        done += count;
      }
      return bytes;
    },
    close: () => file.close(),
  };
  return source;
}

/** Why a file operation failed, in words. */
export function explain(error: unknown): string {
  const { message } = asError(error);
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  switch (code) {
    case 'ENOENT':
      return 'there is no such file or folder';
    case 'EACCES':
    case 'EPERM':
      return 'permission is denied';
    case 'EISDIR':
      return 'it is a folder';
    case 'ENOSPC':
      return 'the disk is full';
    default:
      return message;
  }
}
