import type { FileHandle } from 'node:fs/promises';

import { closable } from '../core/closable.ts';
import { WidefieldError } from '../core/errors.ts';
import { explain } from '../core/explain.ts';
import { openRegularFile } from '../core/regular-file.ts';
import { checkRange, truncated } from './byte-source.ts';
import type { ByteSource } from './byte-source.ts';
import { printable } from './text.ts';

/** The most bytes that Node reads in one call, well below its limit of 2^31 - 1. */
const MAX_READ = 2 ** 30;
/** Longest path of most systems. */
const MAX_PATH = 4096;

/** Opens a file for reading with random access. Throws `io` if it cannot be opened, or is a pipe, a device or a folder. */
export async function openFileSource(path: string): Promise<ByteSource & AsyncDisposable> {
  try {
    const { file, size } = await openRegularFile(path);
    return fileSource(file, path, size);
  } catch (error) {
    throw cannotRead(path, error);
  }
}

function fileSource(file: FileHandle, path: string, size: number): ByteSource & AsyncDisposable {
  const source: ByteSource = {
    name: printable(path, MAX_PATH),
    size,
    async read(offset, length) {
      checkRange(source, offset, length);
      const bytes = allocate(length);
      let done = 0;
      while (done < length) {
        let count: number;
        try {
          const wanted = Math.min(length - done, MAX_READ);
          ({ bytesRead: count } = await file.read(bytes, done, wanted, offset + done));
        } catch (error) {
          throw cannotRead(path, error);
        }
        // The file was cut short since it was opened.
        if (count === 0) throw truncated(source);
        done += count;
      }
      return bytes;
    },
    close: () => file.close(),
  };
  return closable(source);
}

/** Memory that is not cleared first: every byte is written before anyone sees it. */
function allocate(length: number): Uint8Array {
  try {
    return new Uint8Array(Buffer.allocUnsafeSlow(length).buffer);
  } catch (error) {
    throw new WidefieldError(
      'out-of-memory',
      `${length} bytes are more than fit in memory at once: use a machine with more, or a file with smaller tensors.`,
      { cause: error },
    );
  }
}

/** The error for a file or folder that cannot be read. */
export function cannotRead(path: string, error: unknown): WidefieldError {
  return new WidefieldError('io', `${printable(path, MAX_PATH)} cannot be read: ${explain(error)}.`, {
    cause: error,
  });
}
