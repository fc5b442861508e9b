import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';

/** Opening a pipe would else wait for somebody to write into it. Windows, which has no such option, has no such pipes. */
const OPEN_FLAGS = constants.O_RDONLY | constants.O_NONBLOCK;

export interface OpenFile {
  readonly file: FileHandle;
  /** Bytes. */
  readonly size: number;
}

/** Opens a file for reading. Throws what `explain` explains, also for pipes, devices and folders. */
export async function openRegularFile(path: string): Promise<OpenFile> {
  const file = await open(path, OPEN_FLAGS);
  try {
    const stats = await file.stat();
    checkRegular(stats);
    return { file, size: stats.size };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** A file's content. Throws as {@link openRegularFile} does. */
export async function readRegularFile(path: string): Promise<Buffer> {
  const { file } = await openRegularFile(path);
  try {
    return await file.readFile();
  } finally {
    await file.close();
  }
}

/** {@link readRegularFile} for those who cannot wait. */
export function readRegularFileSync(path: string): Buffer {
  const file = openSync(path, OPEN_FLAGS);
  try {
    checkRegular(fstatSync(file));
    return readFileSync(file);
  } finally {
    closeSync(file);
  }
}

function checkRegular(stats: Stats): void {
  if (!stats.isFile()) throw new Error(stats.isDirectory() ? 'it is a folder' : 'it is not a file');
}
