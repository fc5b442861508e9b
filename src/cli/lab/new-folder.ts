import { mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { nameBeside } from '../../checkpoints/file-sink.ts';
import { WidefieldError } from '../../core/errors.ts';
import { explain } from '../../core/explain.ts';
import { makeFolders } from '../../core/make-folders.ts';

/** What a folder of ours says of itself, in the file {@link MANIFEST}. */
interface Manifest {
  readonly generator: string;
  readonly files: readonly string[];
}

/** Lists a folder's files and says who made it, so that it may be made again. */
const MANIFEST = 'manifest.json';

/**
 * Writes a folder of files under a temporary name beside it and renames it when all are there, so that nobody ever sees half
 * of it. A folder that the same generator made before is replaced; any other, and one that has other files in it, is left
 * alone.
 * Throws `io`: if something else is there, or if it cannot be written.
 *
 * @param fill writes the files through the function that it gets
 */
export async function writeFolder(
  folder: string,
  generator: string,
  fill: (write: (name: string, content: string | Uint8Array) => Promise<void>) => Promise<void>,
): Promise<void> {
  // Throws where the working directory has been removed.
  const target = await attempt(folder, () => Promise.resolve(path.resolve(folder)));
  await refuseForeign(target, folder, generator);
  const temporary = nameBeside(target, 'tmp');
  const names: string[] = [];
  try {
    await attempt(folder, async () => {
      await makeFolders(path.dirname(target));
      await mkdir(temporary);
    });
    await fill(async (name, content) => {
      names.push(name);
      await attempt(folder, () => writeFile(path.join(temporary, name), content));
    });
    const manifest: Manifest = { generator, files: [...names, MANIFEST].sort() };
    const text = `${JSON.stringify(manifest, undefined, 2)}\n`;
    await attempt(folder, () => writeFile(path.join(temporary, MANIFEST), text));
    // Somebody may have put files there meanwhile.
    await refuseForeign(target, folder, generator);
    await attempt(folder, () => replace(temporary, target));
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

/** Puts one folder in the place of another, which comes back if that fails. */
async function replace(temporary: string, target: string): Promise<void> {
  if ((await listIfPresent(target)) === undefined) return rename(temporary, target);
  const old = nameBeside(target, 'old');
  await rename(target, old);
  try {
    await rename(temporary, target);
  } catch (error) {
    await rename(old, target);
    throw error;
  }
  await rm(old, { recursive: true, force: true });
}

async function refuseForeign(target: string, folder: string, generator: string): Promise<void> {
  const present = await attempt(folder, () => listIfPresent(target));
  if (present === undefined || present.length === 0) return;
  const manifest = await readManifest(path.join(target, MANIFEST));
  const foreign = present.find((name) => manifest?.files.includes(name) !== true);
  if (manifest?.generator === generator && foreign === undefined) return;
  const why =
    manifest?.generator === generator ? `has ${String(foreign)} in it` : `was not made by ${generator}`;
  throw new WidefieldError('io', `The folder ${folder} ${why}: name another one, or remove it.`);
}

/** Names in a folder; undefined if there is none. */
async function listIfPresent(folder: string): Promise<string[] | undefined> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

async function readManifest(file: string): Promise<Manifest | undefined> {
  try {
    const json = JSON.parse(await readFile(file, 'utf8')) as Partial<Manifest> | null;
    if (typeof json?.generator !== 'string' || !Array.isArray(json.files)) return undefined;
    return { generator: json.generator, files: json.files };
  } catch {
    return undefined;
  }
}

async function attempt<T>(folder: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new WidefieldError('io', `The folder ${folder} cannot be written: ${explain(error)}.`, {
      cause: error,
    });
  }
}
