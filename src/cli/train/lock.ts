import { open, readFile, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { WidefieldError, invalidArgument } from '../../core/errors.ts';
import { explain } from '../../core/explain.ts';

/** Holds the number of the process that trains in the folder. */
const LOCK_FILE = 'run.lock';
/** A lock without a number may be one that is being written: it is looked at so often, and after so many milliseconds. */
const LOOKS = 10;
const BETWEEN_LOOKS = 20;

/**
 * Does work in a folder while no other process of this machine does. What a process that is gone has left does not count.
 * Throws `invalid-argument` if another one is at work there, `io` if the folder cannot be written.
 */
export async function whileLocked<T>(folder: string, work: () => Promise<T>): Promise<T> {
  const file = path.join(folder, LOCK_FILE);
  while (!(await create(file))) {
    const holder = await holderOf(file);
    // In containers, numbers come again: it is not this process that has locked.
    if (holder !== process.pid && isAlive(holder)) {
      throw invalidArgument(
        `Process ${holder} is training in ${folder}: give another --folder, or remove ${file} if that is not so.`,
      );
    }
    await rm(file, { force: true });
  }
  try {
    return await work();
  } finally {
    // Somebody may have removed it, and another process may have locked since.
    if ((await holderOf(file)) === process.pid) await rm(file, { force: true });
  }
}

/** The number in a lock; 0 if there is none. */
async function holderOf(file: string): Promise<number> {
  for (let look = 0; look < LOOKS; look++) {
    const text = await readFile(file, 'utf8').catch(() => undefined);
    if (text !== '') return Number(text ?? 0);
    await sleep(BETWEEN_LOOKS);
  }
  return 0;
}

async function create(file: string): Promise<boolean> {
  let lock: FileHandle | undefined;
  try {
    lock = await open(file, 'wx');
    await lock.writeFile(String(process.pid));
    await lock.close();
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    if (lock !== undefined) {
      // A full disk has room for a file, not for what is in it.
      await lock.close().catch(() => undefined);
      await rm(file, { force: true });
    }
    throw new WidefieldError('io', `${file} cannot be written: ${explain(error)}.`, { cause: error });
  }
}

function isAlive(id: number): boolean {
  if (!Number.isSafeInteger(id) || id < 1) return false;
  try {
    process.kill(id, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'; // somebody else's
  }
}
