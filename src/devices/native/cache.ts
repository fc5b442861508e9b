import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import envPaths from 'env-paths';

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

  /** Opens the folder (default: the user's cache folder), or a temporary one if it cannot be written. */
  static async open(folder: string = defaultCacheFolder()): Promise<LibraryCache> {
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const probe = path.join(folder, temporaryName('probe'));
      await writeFile(probe, 'x');
      await rm(probe);
      return new LibraryCache(folder, undefined);
    } catch (error) {
      return LibraryCache.#temporary(folder, error);
    }
  }

  static async #temporary(wanted: string, cause: unknown): Promise<LibraryCache> {
    const folder = await mkdtemp(path.join(tmpdir(), 'widefield-'));
    const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
    return new LibraryCache(folder, `cache folder ${wanted} cannot be written (${reason}), using ${folder}`);
  }

  /**
   * The path of the library for these inputs, made by `compile(outputPath)` if it is not there or is damaged.
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

export function defaultCacheFolder(): string {
  return path.join(envPaths('widefield', { suffix: '' }).cache, 'native');
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
