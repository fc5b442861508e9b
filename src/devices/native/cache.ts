import { createHash, randomBytes } from 'node:crypto';
import { lstat, mkdir, mkdtemp, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import path from 'node:path';

import { userCacheFolder } from '../../core/cache-folder.ts';
import { WidefieldError } from '../../core/errors.ts';
import { makeFolders } from '../../core/make-folders.ts';

/**
 * Compiled libraries on disk, named by the hash of everything they were made from. Each library has a
 * checksum beside it; both are written under temporary names and renamed, so that processes may share
 * the folder, and a damaged file is noticed and made again.
 */
export class LibraryCache {
  readonly folder: string;
  /** Why this is not the folder that was asked for, if it is not. */
  readonly note: string | undefined;

  private constructor(folder: string, note: string | undefined) {
    this.folder = folder;
    this.note = note;
  }

  /**
   * Opens the folder (default: the user's cache folder), or a temporary one if it cannot be had.
   * Throws `io`, naming the folders, if that cannot be written either.
   */
  static async open(wanted?: string): Promise<LibraryCache> {
    let folder = 'of this user';
    try {
      // Whole, because libraries are loaded by it, wherever the process goes.
      folder = path.resolve(wanted ?? (await defaultCacheFolder()));
      await makeFolders(folder, 0o700);
      await checkWritable(folder);
      return new LibraryCache(folder, undefined);
    } catch (error) {
      const problem = `cache folder ${folder} cannot be written (${reasonOf(error)})`;
      const temporary = await temporaryFolder().catch((cause: unknown) => {
        throw new WidefieldError('io', `The ${problem}, nor can ${tmpdir()} (${reasonOf(cause)}).`, {
          cause,
        });
      });
      return new LibraryCache(temporary, `${problem}, using ${temporary}`);
    }
  }

  /**
   * The path of the library for these inputs, made by `compile(outputPath)` if it is not there or is damaged.
   * Throws what `compile` throws, and `io`, naming the folder, if files cannot be written.
   */
  async library(inputs: readonly string[], compile: (output: string) => Promise<void>): Promise<string> {
    const key = createHash('sha256').update(inputs.join('\0')).digest('hex').slice(0, 32);
    const library = path.join(this.folder, `${key}.so`);
    const checksum = path.join(this.folder, `${key}.sha256`);
    if (await isIntact(library, checksum)) return library;
    const temporary = path.join(this.folder, temporaryName(key));
    try {
      await compile(`${temporary}.so`);
      await writeFile(`${temporary}.sha256`, digest(await readFile(`${temporary}.so`)));
      await rename(`${temporary}.so`, library);
      await rename(`${temporary}.sha256`, checksum);
    } catch (error) {
      if (error instanceof WidefieldError) throw error;
      throw new WidefieldError(
        'io',
        `Compiled code cannot be kept in ${this.folder} (${reasonOf(error)}): make room there, or name another folder.`,
        { cause: error },
      );
    } finally {
      await rm(`${temporary}.so`, { force: true });
      await rm(`${temporary}.sha256`, { force: true });
    }
    return library;
  }

  /** Number of files and their bytes. */
  async size(): Promise<{ readonly files: number; readonly bytes: number }> {
    let files = 0;
    let bytes = 0;
    for (const name of await readdir(this.folder)) {
      const info = await stat(path.join(this.folder, name)).catch(() => undefined);
      if (info?.isFile() !== true) continue;
      files++;
      bytes += info.size;
    }
    return { files, bytes };
  }

  /** Removes what this class wrote: libraries, checksums and leftovers of interrupted processes. */
  async clear(): Promise<void> {
    for (const name of await readdir(this.folder)) {
      if (/\.(so|sha256)$/.test(name)) await rm(path.join(this.folder, name), { force: true });
    }
  }
}

/** Throws where neither the environment nor the system knows of a home. */
async function defaultCacheFolder(): Promise<string> {
  return path.join(await userCacheFolder(), 'native');
}

/** The user's own folder among temporary files, the same every time, unless somebody else got there first. */
async function temporaryFolder(): Promise<string> {
  // The system need not know of the user that a container runs as.
  const uid = process.getuid?.() ?? userInfo().uid;
  const own = path.join(tmpdir(), `widefield-${uid}`);
  const folder = (await isOwnFolder(own, uid)) ? own : await mkdtemp(path.join(tmpdir(), 'widefield-'));
  await checkWritable(folder);
  return folder;
}

/** Whether the folder, which is made if need be, is the user's: code is loaded from there, so nobody else may write. */
async function isOwnFolder(folder: string, uid: number): Promise<boolean> {
  await mkdir(folder, { mode: 0o700 }).catch(() => undefined); // it may be there already
  const found = await lstat(folder).catch(() => undefined);
  return found?.isDirectory() === true && found.uid === uid && (found.mode & 0o722) === 0o700;
}

/** As much as a few libraries take: a full disk still has room for a byte. */
const PROBE_BYTES = 2 ** 20;

async function checkWritable(folder: string): Promise<void> {
  // Named like a library, so that `clear` knows what an interrupted process left behind.
  const probe = path.join(folder, `${temporaryName('probe')}.so`);
  try {
    await writeFile(probe, Buffer.alloc(PROBE_BYTES, 1));
  } finally {
    await rm(probe, { force: true });
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof WidefieldError) return error.message;
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}

async function isIntact(library: string, checksum: string): Promise<boolean> {
  try {
    const [bytes, expected] = await Promise.all([readFile(library), readFile(checksum, 'utf8')]);
    return digest(bytes) === expected;
  } catch {
    return false;
  }
}

function digest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function temporaryName(stem: string): string {
  return `${stem}.${process.pid}.${randomBytes(4).toString('hex')}.tmp`;
}
