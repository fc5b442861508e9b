import { randomUUID } from 'node:crypto';
import { closeSync, openSync, rmSync, statSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';

import { WidefieldError } from '../core/errors.ts';
import { explain } from '../core/explain.ts';
import type { ByteSink } from './byte-sink.ts';

/**
 * Writes a file under a temporary name beside `path` and renames it when it is closed, so that nobody ever sees half
 * of it and a failure leaves what was there before. A process that exits meanwhile takes the temporary file with it.
 * Throws `io` if it cannot be written.
 */
export async function openFileSink(path: string): Promise<ByteSink> {
  const temporary = temporaryName(path);
  const attempt = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw unwritable(path, explain(error), error);
    }
  };
  const file = await attempt(() => open(temporary, 'wx'));
  const onExit = (): void => {
    rmSync(temporary, { force: true });
  };
  process.once('exit', onExit);
  return {
    write: (bytes) => attempt(() => writeAll(file, bytes)),
    async close() {
      await attempt(async () => {
        // On disk before it takes the place of the old file: a power failure must not leave an empty one.
        await file.datasync();
        await file.close();
        await rename(temporary, path);
        process.off('exit', onExit);
      });
    },
    async abort() {
      await file.close().catch(() => undefined);
      await rm(temporary, { force: true });
      process.off('exit', onExit);
    },
  };
}

/** Throws `io`, before any work, if {@link openFileSink} would find nowhere to write: a name's parsers are synchronous. */
export function checkWritable(path: string): void {
  const temporary = temporaryName(path);
  try {
    closeSync(openSync(temporary, 'wx'));
    rmSync(temporary);
  } catch (error) {
    throw unwritable(path, explain(error), error);
  }
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) throw unwritable(path, 'it is a folder');
}

function temporaryName(path: string): string {
  return `${path}.${randomUUID()}.tmp`;
}

function unwritable(path: string, reason: string, cause?: unknown): WidefieldError {
  return new WidefieldError('io', `${path} cannot be written: ${reason}.`, { cause });
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.byteLength;) {
    done += (await file.write(bytes, done, Math.min(bytes.byteLength - done, MAX_WRITE))).bytesWritten;
  }
}

/** The most bytes that Node writes in one call, well below its limit of 2^31 - 1. */
const MAX_WRITE = 2 ** 30;
