import { closable } from '../core/closable.ts';
import { invalidArgument } from '../core/errors.ts';
import { oneGroup } from './dataset.ts';
import type { Dataset, PixelImage } from './dataset.ts';
import { readWhole, unzipped } from './files.ts';

/** Unsigned bytes, the only element type that image sets use. */
const TYPE_BYTE = 0x08;

/** Sets are kept in memory, so that images of 28 × 28 pixels cost nothing to read. */
const MAX_BYTES = 2 ** 31 - 1;

/** The contents of an IDX file: its sizes, outermost first, and its bytes. */
export interface IdxArray {
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

/**
 * Reads an IDX file, plain or compressed by gzip: two zero bytes, the element type, the rank, one 32-bit size a
 * dimension (big-endian), then the elements.
 *
 * Throws `io` if it cannot be read, `invalid-argument` if it is damaged or holds anything but bytes.
 */
export async function readIdx(file: string): Promise<IdxArray> {
  return parseIdx(file, unzipped(file, await readWhole(file, MAX_BYTES), MAX_BYTES));
}

/** The array in the bytes of an IDX file; `name` is what messages call it. */
export function parseIdx(name: string, bytes: Uint8Array): IdxArray {
  const rank = bytes[3] ?? 0;
  if (bytes.length < 4 || bytes[0] !== 0 || bytes[1] !== 0 || rank === 0) {
    throw invalidArgument(`${name} is no IDX file: give the files as their publishers distribute them.`);
  }
  if (bytes[2] !== TYPE_BYTE) {
    throw invalidArgument(
      `${name} holds elements of the IDX type 0x${(bytes[2] ?? 0).toString(16)}, not bytes: convert it.`,
    );
  }
  const start = 4 + 4 * rank;
  if (bytes.length < start) throw invalidArgument(`${name} is cut short in its header: get an intact copy.`);
  const header = new DataView(bytes.buffer, bytes.byteOffset);
  const shape = Array.from({ length: rank }, (_, i) => header.getUint32(4 + 4 * i));
  const size = shape.reduce((product, extent) => product * extent, 1);
  const data = bytes.subarray(start);
  if (data.length !== size) {
    throw invalidArgument(
      `${name} has ${data.length} bytes of data where its header says ${shape.join(' × ')}: get an intact copy.`,
    );
  }
  return { shape, data };
}

export interface IdxFiles {
  readonly name: string;
  readonly images: string;
  readonly labels: string;
  /** Names of the classes; default: the numbers 0 … the largest label. */
  readonly classes?: readonly string[];
}

/** MNIST, Fashion-MNIST and their like: a file of images, [N, H, W] or [N, H, W, 3], and one of labels, [N]. */
export async function openIdx(files: IdxFiles): Promise<Dataset & AsyncDisposable> {
  const images = await readIdx(files.images);
  const labels = await readIdx(files.labels);
  const [length = 0, height = 0, width = 0, channels = 1] = images.shape;
  if (images.shape.length < 3 || images.shape.length > 4 || (channels !== 1 && channels !== 3)) {
    throw invalidArgument(
      `${files.images} holds an array of ${images.shape.join(' × ')}, not images: N × height × width, of 1 or 3 channels.`,
    );
  }
  if (labels.shape.length !== 1 || labels.shape[0] !== length) {
    throw invalidArgument(
      `${files.labels} holds ${labels.shape.join(' × ')} labels for ${length} images: give the file that belongs to the images.`,
    );
  }
  if (length > 0 && height * width === 0)
    throw invalidArgument(`${files.images} holds images without pixels.`);
  const classes = files.classes ?? numberedClasses(labels.data);
  checkLabels(files.labels, labels.data, classes.length);
  const size = height * width * channels;
  const labelOf = (index: number): number => labels.data[index] ?? 0;
  return closable<Dataset>({
    name: files.name,
    classes,
    length,
    groups: oneGroup(length),
    labelOf,
    read: (index) => {
      const data = images.data.subarray(index * size, (index + 1) * size);
      const image: PixelImage = { width, height, channels, data };
      return Promise.resolve({ name: `${files.images}#${index}`, label: labelOf(index), image });
    },
    close: () => Promise.resolve(),
  });
}

/** More classes than any dataset has; a damaged label must not ask for as many names. */
const MAX_CLASSES = 2 ** 20;

/** 0 … the largest label, as names. Throws `invalid-argument` if a label is beyond all reason. */
export function numberedClasses(labels: ArrayLike<number>): string[] {
  let largest = -1;
  for (let i = 0; i < labels.length; i++) largest = Math.max(largest, labels[i] ?? 0);
  if (largest >= MAX_CLASSES) {
    throw invalidArgument(`A label is ${largest}: there are at most ${MAX_CLASSES} classes, counted from 0.`);
  }
  return Array.from({ length: largest + 1 }, (_, i) => String(i));
}

/** Throws `invalid-argument` naming the first label that no class has. */
export function checkLabels(name: string, labels: ArrayLike<number>, classes: number): void {
  for (let i = 0; i < labels.length; i++) {
    const label = labels[i] ?? 0;
    if (!(Number.isInteger(label) && label >= 0 && label < classes)) {
      throw invalidArgument(
        `Label ${label} of sample ${i} in ${name} is out of range: there are ${classes} classes, counted from 0.`,
      );
    }
  }
}
