import { stat } from 'node:fs/promises';
import path from 'node:path';

import { cannotRead } from '../checkpoints/file-source.ts';
import { invalidArgument } from '../core/errors.ts';
import { CIFAR_KINDS, cifarFiles, openCifar } from './cifar.ts';
import type { CifarKind } from './cifar.ts';
import type { Dataset } from './dataset.ts';
import { FASHION_MNIST_CLASSES, findFashionMnist, idxSplits, openIdxFolder } from './fashion-mnist.ts';
import type { IdxSplit } from './fashion-mnist.ts';
import { readHead } from './files.ts';
import { listClasses, listFolder, openImageFolder } from './image-folder.ts';
import type { ImageFolderOptions } from './image-folder.ts';
import { withClasses } from './match-classes.ts';
import { openParquet } from './parquet.ts';
import { isTar } from './tar.ts';
import { openWebDataset } from './webdataset.ts';

export type DatasetKind = 'idx' | CifarKind | 'image-folder' | 'webdataset' | 'parquet';

/** What lies at a path. */
export interface DatasetLocation {
  /** A file or folder, or `fashion-mnist`. */
  readonly path: string;
  readonly kind: DatasetKind;
  /** In the usual order: train, validation, test. `all` if there is no division. */
  readonly splits: readonly string[];
}

export interface OpenDatasetOptions {
  /** `train`, `val`, `test` or what the dataset calls it; `val` and `validation` mean the same. Default: the first one. */
  readonly split?: string;
  /**
   * The classes in the order of their labels, such as those of the training set. The dataset's own are looked up among them
   * by name; if either has only numbers for names, labels stay as they are.
   */
  readonly classes?: readonly string[];
  readonly signal?: AbortSignal;
}

const FASHION_MNIST = 'fashion-mnist';
const SPLIT_NAMES = ['train', 'training', 'val', 'valid', 'validation', 'dev', 'test'];
const WHOLE = 'all';

/**
 * Opens a dataset: `fashion-mnist` (where Debian's package puts it), or a folder or file that is recognised by its
 * content as IDX (MNIST), CIFAR-10 or -100 (binary), Parquet, WebDataset (tar), or a folder of classes.
 *
 * Throws `io` if there is nothing, `aborted`, and `invalid-argument` if it is nothing of these, is damaged, lacks the split, or
 * has classes that are not among `options.classes`.
 */
export async function openDataset(
  where: string,
  options: OpenDatasetOptions = {},
): Promise<Dataset & AsyncDisposable> {
  const location = await findDataset(where);
  const split = chooseSplit(location, options.split);
  const { classes } = options;
  const dataset = await openSplit(location, split, where, options);
  if (classes === undefined) return dataset;
  try {
    return withClasses(dataset, classes);
  } catch (error) {
    await dataset.close();
    throw error;
  }
}

/** A split with its own classes, or, if it is a folder, already with those that are given. */
async function openSplit(
  location: DatasetLocation,
  split: string,
  where: string,
  { classes, signal }: OpenDatasetOptions,
): Promise<Dataset & AsyncDisposable> {
  const { kind, path: folder } = location;
  const options = { name: split === WHOLE ? where : `${where} ${split}`, ...(signal && { signal }) };
  switch (kind) {
    case 'idx':
      return openIdxFolder(folder, split as IdxSplit, where, knownClasses(location));
    case 'cifar-10':
    case 'cifar-100':
      return openCifar(kind, folder, split as IdxSplit);
    case 'image-folder':
      return openFolderSplit(location, split, { ...options, ...(classes && { classes }) });
    case 'webdataset':
      return openWebDataset((await filesBySplit(folder, '.tar')).get(split) ?? [], options);
    case 'parquet':
      return openParquet((await filesBySplit(folder, '.parquet')).get(split) ?? [], options);
  }
}

/** IDX files have no names of classes; those of Fashion-MNIST are told by the folder's name. */
function knownClasses({ path: folder }: DatasetLocation): readonly string[] | undefined {
  return path.basename(path.resolve(folder)).includes('fashion') ? FASHION_MNIST_CLASSES : undefined;
}

/** What lies at a path, and its splits. Throws like {@link openDataset}. */
export async function findDataset(where: string): Promise<DatasetLocation> {
  const found = await stat(where).catch((error: unknown) => {
    if (where === FASHION_MNIST) return undefined;
    throw cannotRead(where, error);
  });
  if (found === undefined) return { path: await findFashionMnist(), kind: 'idx', splits: ['train', 'test'] };
  return found.isDirectory() ? findInFolder(where) : findInFile(where);
}

async function findInFile(file: string): Promise<DatasetLocation> {
  const head = await readHead(file, 512);
  const isParquet = String.fromCharCode(...head.subarray(0, 4)) === 'PAR1';
  const kind = isParquet ? 'parquet' : isTar(head) ? 'webdataset' : undefined;
  if (kind) return { path: file, kind, splits: [splitOf(path.basename(file))] };
  throw invalidArgument(
    `${file} is no Parquet file and no tar of samples: give such a file, or the folder that the dataset is in.`,
  );
}

async function findInFolder(folder: string): Promise<DatasetLocation> {
  const at = (kind: DatasetKind, splits: readonly string[], where = folder): DatasetLocation => ({
    path: where,
    kind,
    splits,
  });
  const idx = await idxSplits(folder);
  if (idx.length > 0) return at('idx', idx);
  const names = new Set((await listFolder(folder)).map(({ name }) => name));
  for (const kind of CIFAR_KINDS) {
    const splits = (['train', 'test'] as const).filter((split) =>
      cifarFiles(kind, split).every((file) => names.has(file)),
    );
    if (splits.length > 0) return at(kind, splits);
  }
  for (const [kind, ending] of [
    ['parquet', '.parquet'],
    ['webdataset', '.tar'],
  ] as const) {
    for (const where of [folder, path.join(folder, 'data')]) {
      const splits = [...(await filesBySplit(where, ending)).keys()];
      if (splits.length > 0) return at(kind, sortSplits(splits), where);
    }
  }
  const folders = await listClasses(folder, []);
  const splits = folders.filter((name) => SPLIT_NAMES.includes(name));
  if (splits.length > 0) return at('image-folder', sortSplits(splits));
  if (folders.length > 0) return at('image-folder', [WHOLE]);
  throw invalidArgument(
    `${folder} holds no dataset that Widefield knows: IDX, CIFAR's binary version, Parquet, tar shards, or a folder for each class.`,
  );
}

/** The folder of a split. Classes get the labels that they have in the training set. */
async function openFolderSplit(
  location: DatasetLocation,
  split: string,
  options: ImageFolderOptions,
): Promise<Dataset & AsyncDisposable> {
  if (split === WHOLE) return openImageFolder(location.path, options);
  const train = location.splits.find((name) => name.startsWith('train'));
  const ofTrain =
    train !== undefined && train !== split && options.classes === undefined
      ? { classes: await listClasses(path.join(location.path, train), []) }
      : {};
  return openImageFolder(path.join(location.path, split), { ...options, ...ofTrain });
}

/** Files of a kind, sorted, by the split that their names tell; or the file itself. */
async function filesBySplit(where: string, ending: string): Promise<Map<string, string[]>> {
  const found = await stat(where).catch(() => undefined);
  if (found === undefined) return new Map();
  if (!found.isDirectory()) return new Map([[splitOf(path.basename(where)), [where]]]);
  const splits = new Map<string, string[]>();
  for (const { name } of await listFolder(where)) {
    if (!name.endsWith(ending) || name.startsWith('.')) continue;
    const split = splitOf(name);
    splits.set(split, [...(splits.get(split) ?? []), path.join(where, name)]);
  }
  return splits;
}

/** `train-00000-of-00004.parquet` → `train`: the first of the usual names among a name's words. */
function splitOf(name: string): string {
  return name.split(/[^a-zA-Z]+/).find((word) => SPLIT_NAMES.includes(word)) ?? WHOLE;
}

function sortSplits(splits: readonly string[]): string[] {
  const place = (split: string): number => SPLIT_NAMES.indexOf(split) + 1 || SPLIT_NAMES.length + 1;
  return [...splits].sort((a, b) => place(a) - place(b));
}

/** The split that is kept for judging networks: validation images, else test images; undefined if there are neither. */
export function heldBackSplit(splits: readonly string[]): string | undefined {
  return splits.find((name) => isSameSplit(name, 'validation')) ?? splits.find((name) => name === 'test');
}

/** The split that a name means, or the first one. Throws `invalid-argument` if there is none of that name. */
export function chooseSplit({ splits, path: where }: DatasetLocation, wanted: string | undefined): string {
  const [first = WHOLE] = splits;
  if (wanted === undefined) return first;
  const found = splits.find((name) => name === wanted) ?? splits.find((name) => isSameSplit(name, wanted));
  if (found !== undefined) return found;
  throw invalidArgument(`${where} has no split ${wanted}: it has ${splits.join(', ')}.`);
}

/** Whether two names of splits mean the same. */
function isSameSplit(a: string, b: string): boolean {
  const usual = (name: string): string => (['val', 'valid', 'dev'].includes(name) ? 'validation' : name);
  return usual(a) === usual(b);
}
