import { mkdir, stat } from 'node:fs/promises';
import path from 'node:path';

/**
 * Makes a folder and those above it that are missing, level by level: `recursive` of `mkdir` never ends where the system
 * takes no folders, as under /proc. Throws what `explain` explains.
 *
 * @param mode of those that are made
 */
export async function makeFolders(folder: string, mode?: number): Promise<void> {
  const missing: string[] = [];
  let level = path.resolve(folder);
  while (!(await isFolder(level))) {
    missing.unshift(level);
    level = path.dirname(level);
    if (level === missing[0]) break; // a drive that is not there
  }
  for (const each of missing) {
    try {
      await mkdir(each, { mode });
    } catch (error) {
      // Another process may have made it meanwhile.
      if (!hasCode(error, 'EEXIST') || !(await isFolder(each))) throw error;
    }
  }
}

async function isFolder(name: string): Promise<boolean> {
  try {
    return (await stat(name)).isDirectory();
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
