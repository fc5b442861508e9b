import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readlinkSync, realpathSync, rmSync, statSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import nodePath from 'node:path';

import { WidefieldError } from '../core/errors.ts';
import { explain } from '../core/explain.ts';
import type { ByteSink } from './byte-sink.ts';

/**
 * Writes a file under a temporary name beside `path` and renames it when it is closed, so that nobody ever sees half
 * of it and a failure leaves what was there before. A process that exits meanwhile takes the temporary file with it.
 * Links are followed. Throws `io` if it cannot be written, and if a pipe, a device or a folder is there.
 */
export async function openFileSink(path: string): Promise<ByteSink> {
  const attempt = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw unwritable(path, explain(error), error);
    }
  };
  const { target, temporary } = await attempt(() => Promise.resolve(placesFor(path)));
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
        await rename(temporary, target);
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
  try {
    const { temporary } = placesFor(path);
    closeSync(openSync(temporary, 'wx'));
    rmSync(temporary);
  } catch (error) {
    throw unwritable(path, explain(error), error);
  }
}

interface Places {
  /** The file itself, behind links. */
  readonly target: string;
  /** Where it is written until it is whole. */
  readonly temporary: string;
}

function placesFor(path: string): Places {
  const target = targetOf(path);
  const folder = realpathSync(nodePath.dirname(target));
  return { target, temporary: nameBeside(nodePath.join(folder, nodePath.basename(target)), 'tmp') };
}

/** A new name beside a file or folder: it begins alike, but is short, since names may be as long as names can be. */
export function nameBeside(path: string, extension: string): string {
  const stem = nodePath.basename(path).slice(0, STEM_CHARACTERS);
  return nodePath.join(nodePath.dirname(path), `${stem}.${randomBytes(8).toString('hex')}.${extension}`);
}

/** What links lead to, which need not be there. Throws if it is there and is no file. */
function targetOf(path: string): string {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats !== undefined) {
    if (!stats.isFile()) throw new Error(stats.isDirectory() ? 'it is a folder' : 'it is not a file');
    return realpathSync(path);
  }
  let target = path;
  for (;;) {
    const link = linkAt(target);
    if (link === undefined) return target;
    // Not joined, which would take `..` for the folder above the name instead of the folder above the link's.
    target = nodePath.isAbsolute(link) ? link : `${nodePath.dirname(target)}/${link}`;
  }
}

/** What a link says; undefined for what is none. */
function linkAt(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
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
/** How much of a name is kept; of UTF-8, a character takes up to four bytes. */
const STEM_CHARACTERS = 40;
