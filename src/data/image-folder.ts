import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';

import { cannotRead } from '../checkpoints/file-source.ts';
import { printable } from '../checkpoints/text.ts';
import { closable } from '../core/closable.ts';
import { invalidArgument, throwIfAborted } from '../core/errors.ts';
import { oneGroup } from './dataset.ts';
import type { Dataset, StrayFile } from './dataset.ts';
import { readWhole } from './files.ts';

const IMAGE = /\.(jpe?g|png|webp|avif|gif|tiff?)$/i;
/** What archivers and file managers leave behind. */
const IGNORED = /^(\.|__MACOSX$|Thumbs\.db$|desktop\.ini$)/;
const MAX_DEPTH = 8;
/** Characters of a name that messages show. */
const MAX_PATH = 4096;
/** Larger files are no photos to learn from. */
const MAX_IMAGE_BYTES = 2 ** 28;

export interface ImageFolderOptions {
  readonly name?: string;
  /** The classes, in the order of their labels, such as those of the training set; default: the folders' names, sorted. */
  readonly classes?: readonly string[];
  readonly signal?: AbortSignal;
}

/**
 * ImageNet's layout: a folder a class, with images in it and in folders below. Other files are `strays`.
 *
 * Throws `io` if the folder cannot be read, `aborted`, and `invalid-argument` if there are no classes, or classes without images, or
 * ones that are not among `options.classes`.
 */
export async function openImageFolder(
  root: string,
  options: ImageFolderOptions = {},
): Promise<Dataset & AsyncDisposable> {
  const strays: StrayFile[] = [];
  const found = await listClasses(root, strays);
  if (found.length === 0) {
    throw invalidArgument(
      `${root} has no folders of classes: put the images of each class into a folder with its name.`,
    );
  }
  const classes = options.classes ?? found;
  const unknown = found.filter((name) => !classes.includes(name));
  if (unknown.length > 0) {
    throw invalidArgument(
      `${root} has classes that the training set lacks: remove ${listNames(unknown)}, or train with them.`,
    );
  }
  const files: string[] = [];
  const labels: number[] = [];
  const empty: string[] = [];
  for (const name of found) {
    const images = await listImages(path.join(root, name), name, strays, 0, options.signal);
    if (images.length === 0) empty.push(name);
    const label = classes.indexOf(name);
    for (const file of images) {
      files.push(file);
      labels.push(label);
    }
  }
  if (empty.length > 0) {
    throw invalidArgument(
      `${root} has classes without images: fill or remove the folder${empty.length > 1 ? 's' : ''} ${listNames(empty)}.`,
    );
  }
  const labelOf = (index: number): number => labels[index] ?? 0;
  return closable<Dataset>({
    name: options.name ?? root,
    classes,
    length: files.length,
    groups: oneGroup(files.length),
    strays,
    labelOf,
    read: async (index) => {
      const file = path.join(root, files[index] ?? '');
      const bytes = await readWhole(file, MAX_IMAGE_BYTES);
      return { name: printable(file, MAX_PATH), label: labelOf(index), image: { bytes } };
    },
    close: () => Promise.resolve(),
  });
}

/** The folders in a folder, by name; other things that lie there are strays. Throws `io`. */
export async function listClasses(root: string, strays: StrayFile[]): Promise<string[]> {
  const classes: string[] = [];
  for (const entry of await listFolder(root)) {
    if (IGNORED.test(entry.name)) continue;
    const linked = entry.isSymbolicLink() && (await isFolder(path.join(root, entry.name)));
    if (entry.isDirectory() || linked) classes.push(entry.name);
    else strays.push({ name: printable(entry.name, MAX_PATH), reason: 'it is in no class' });
  }
  return classes;
}

/** The images in a folder and in those below, relative to the root, by name. */
async function listImages(
  folder: string,
  prefix: string,
  strays: StrayFile[],
  depth: number,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  throwIfAborted(signal);
  const images: string[] = [];
  for (const entry of await listFolder(folder)) {
    const name = path.join(prefix, entry.name);
    const stray = (reason: string): void => void strays.push({ name: printable(name, MAX_PATH), reason });
    if (IGNORED.test(entry.name)) continue;
    if (entry.isDirectory()) {
      if (depth === MAX_DEPTH) stray(`it lies more than ${MAX_DEPTH} folders deep`);
      else {
        // One by one: there may be more of them than a call can have arguments.
        const inside = await listImages(path.join(folder, entry.name), name, strays, depth + 1, signal);
        for (const image of inside) images.push(image);
      }
    } else if (!IMAGE.test(entry.name)) {
      stray('it is no image, by its name');
    } else if (entry.isFile() || entry.isSymbolicLink()) {
      images.push(name);
    } else {
      stray('it is no file');
    }
  }
  return images;
}

/** What lies in a folder, by name. Throws `io`. */
export async function listFolder(folder: string) {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  } catch (error) {
    throw cannotRead(folder, error);
  }
}

async function isFolder(file: string): Promise<boolean> {
  return stat(file).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

/** Some names, and how many more there are. */
export function listNames(names: readonly string[], most = 10): string {
  const more = names.length > most ? ` and ${names.length - most} more` : '';
  return (
    names
      .slice(0, most)
      .map((name) => printable(name))
      .join(', ') + more
  );
}
