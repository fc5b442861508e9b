import { stat } from 'node:fs/promises';
import path from 'node:path';

import { glob, isDynamicPattern } from 'tinyglobby';

/** What folders are searched for. Files that are named themselves may be called anything. */
const EXTENSIONS = ['jpg', 'jpeg', 'png', 'webp', 'avif', 'gif', 'tif', 'tiff'];

/** A file to classify, or why there is none. */
export type ImageFile = { readonly file: string } | { readonly file: string; readonly error: string };

/**
 * The files behind paths, folders (with all that is in them) and globs: in the order given, those of a folder or
 * glob by name, each once. What leads to no file becomes an entry with an error.
 */
export async function findImages(patterns: readonly string[]): Promise<ImageFile[]> {
  const found = new Map<string, ImageFile>();
  for (const pattern of patterns) {
    for (const entry of await expand(pattern)) {
      if (!found.has(entry.file)) found.set(entry.file, entry);
    }
  }
  return [...found.values()];
}

async function expand(pattern: string): Promise<ImageFile[]> {
  const stats = await stat(pattern).catch(() => undefined);
  if (stats?.isDirectory()) {
    const files = await glob(`**/*.{${EXTENSIONS.join(',')}}`, { cwd: pattern, caseSensitiveMatch: false });
    if (files.length === 0)
      return [{ file: pattern, error: `There are no images in the folder ${pattern}.` }];
    return files.sort(byName).map((file) => ({ file: path.join(pattern, file) }));
  }
  // A file whose name happens to contain brackets is a file; a plain name without a file fails when it is read.
  if (stats !== undefined || !isDynamicPattern(pattern)) return [{ file: pattern }];
  const slashed = path.sep === '\\' ? pattern.replaceAll('\\', '/') : pattern;
  const files = await glob(slashed, { absolute: path.isAbsolute(pattern) });
  if (files.length === 0) return [{ file: pattern, error: `No file matches ${pattern}.` }];
  return files.sort(byName).map((file) => ({ file }));
}

function byName(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
