import { access } from 'node:fs/promises';
import path from 'node:path';

import { WidefieldError } from '../core/errors.ts';
import type { Dataset } from './dataset.ts';
import { openIdx } from './idx.ts';

/** What the ten labels mean, in order. */
export const FASHION_MNIST_CLASSES = [
  ...['T-shirt/top', 'Trouser', 'Pullover', 'Dress', 'Coat'],
  ...['Sandal', 'Shirt', 'Sneaker', 'Bag', 'Ankle boot'],
] as const;

/** Mean and standard deviation of the training images' pixels, between 0 and 1. */
export const FASHION_MNIST_MEAN = 0.2860405969887955;
export const FASHION_MNIST_STD = 0.3530242445149226;

/** Where Debian's package dataset-fashion-mnist puts its files. */
const DEBIAN_FOLDER = '/usr/share/datasets/fashion-mnist';

const FILES = {
  train: ['train-images-idx3-ubyte', 'train-labels-idx1-ubyte'],
  test: ['t10k-images-idx3-ubyte', 't10k-labels-idx1-ubyte'],
} as const;

export type IdxSplit = keyof typeof FILES;

/**
 * The folder that holds Fashion-MNIST: `folder`, or where Debian's package puts it.
 *
 * Throws `io` if the four files are not all there.
 */
export async function findFashionMnist(folder = DEBIAN_FOLDER): Promise<string> {
  for (const name of Object.values(FILES).flat()) {
    if ((await findMember(folder, name)) !== undefined) continue;
    throw new WidefieldError(
      'io',
      `Fashion-MNIST is not in ${folder}: install it with \`apt install dataset-fashion-mnist\`, or give a folder with ${Object.values(
        FILES,
      )
        .flat()
        .map((file) => `${file}.gz`)
        .join(', ')}.`,
    );
  }
  return folder;
}

/** Fashion-MNIST: 60,000 training and 10,000 test images, 28 × 28, grey, of ten kinds of clothes. */
export async function openFashionMnist(split: IdxSplit, folder?: string): Promise<Dataset & AsyncDisposable> {
  const found = await findFashionMnist(folder);
  return openIdxFolder(found, split, 'fashion-mnist', FASHION_MNIST_CLASSES);
}

/** A split of a folder with the four files of MNIST or its like, compressed or not. */
export async function openIdxFolder(
  folder: string,
  split: IdxSplit,
  name: string,
  classes?: readonly string[],
): Promise<Dataset & AsyncDisposable> {
  const [images, labels] = await Promise.all(FILES[split].map((file) => findMember(folder, file)));
  if (images === undefined || labels === undefined) {
    throw new WidefieldError(
      'io',
      `${folder} lacks ${FILES[split].join(' or ')} (or .gz): put both files there.`,
    );
  }
  return openIdx({ name: `${name} ${split}`, images, labels, ...(classes && { classes }) });
}

/** Which splits of the IDX layout a folder has. */
export async function idxSplits(folder: string): Promise<IdxSplit[]> {
  const splits: IdxSplit[] = [];
  for (const split of ['train', 'test'] as const) {
    const found = await Promise.all(FILES[split].map((file) => findMember(folder, file)));
    if (!found.includes(undefined)) splits.push(split);
  }
  return splits;
}

/** The path of a file by one of the names under which it is distributed. */
async function findMember(folder: string, name: string): Promise<string | undefined> {
  const names = [`${name}.gz`, name, name.replace(/-(idx\d)/, '.$1')];
  for (const candidate of names) {
    const file = path.join(folder, candidate);
    if (
      await access(file).then(
        () => true,
        () => false,
      )
    )
      return file;
  }
  return undefined;
}
