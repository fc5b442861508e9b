import path from 'node:path';

import { printable } from '../checkpoints/text.ts';
import { closable } from '../core/closable.ts';
import { invalidArgument } from '../core/errors.ts';
import { oneGroup } from './dataset.ts';
import type { Dataset, PixelImage } from './dataset.ts';
import { readWhole } from './files.ts';
import { checkLabels } from './idx.ts';

const SIDE = 32;
const PLANE = SIDE * SIDE;
const MAX_FILE_BYTES = 2 ** 30;

/** How CIFAR's binary version is laid out: records of label bytes, then the planes of red, green and blue. */
interface Layout {
  readonly files: { readonly train: readonly string[]; readonly test: readonly string[] };
  readonly names: string;
  readonly classes: number;
  /** Label bytes; the last one counts. CIFAR-100 has a coarse label first. */
  readonly labels: number;
}

const LAYOUTS = {
  'cifar-10': {
    files: { train: [1, 2, 3, 4, 5].map((i) => `data_batch_${i}.bin`), test: ['test_batch.bin'] },
    names: 'batches.meta.txt',
    classes: 10,
    labels: 1,
  },
  'cifar-100': {
    files: { train: ['train.bin'], test: ['test.bin'] },
    names: 'fine_label_names.txt',
    classes: 100,
    labels: 2,
  },
} as const satisfies Record<string, Layout>;

export type CifarKind = keyof typeof LAYOUTS;

export const CIFAR_KINDS = Object.keys(LAYOUTS) as readonly CifarKind[];

/** The files of a split, by name. */
export function cifarFiles(kind: CifarKind, split: 'train' | 'test'): readonly string[] {
  return LAYOUTS[kind].files[split];
}

/**
 * A split of CIFAR's binary version: 50,000 training or 10,000 test images, 32 × 32, RGB.
 *
 * Throws `io` if a file is missing, `invalid-argument` if one is damaged.
 */
export async function openCifar(
  kind: CifarKind,
  folder: string,
  split: 'train' | 'test',
): Promise<Dataset & AsyncDisposable> {
  const layout: Layout = LAYOUTS[kind];
  const record = layout.labels + 3 * PLANE;
  const files = await Promise.all(
    layout.files[split].map(async (name) => {
      const file = path.join(folder, name);
      const bytes = await readWhole(file, MAX_FILE_BYTES);
      if (bytes.length % record !== 0) {
        throw invalidArgument(
          `${file} has ${bytes.length} bytes, not a multiple of ${record}: get an intact copy of ${kind}.`,
        );
      }
      const count = bytes.length / record;
      const labels = Uint8Array.from({ length: count }, (_, i) => bytes[i * record + layout.labels - 1] ?? 0);
      checkLabels(file, labels, layout.classes);
      return { file, bytes, labels };
    }),
  );
  const places = files.flatMap(({ labels }, file) => Array.from(labels, (_, record) => ({ file, record })));
  const placeOf = (index: number) => places[index] ?? { file: 0, record: 0 };
  const labelOf = (index: number): number => {
    const place = placeOf(index);
    return files[place.file]?.labels[place.record] ?? 0;
  };
  return closable<Dataset>({
    name: `${kind} ${split}`,
    classes: await readNames(path.join(folder, layout.names), layout.classes),
    length: places.length,
    groups: oneGroup(places.length),
    labelOf,
    read: (index) => {
      const place = placeOf(index);
      const { file = '', bytes = new Uint8Array(0) } = files[place.file] ?? {};
      const start = place.record * record + layout.labels;
      const image = interleave(bytes.subarray(start, start + 3 * PLANE));
      return Promise.resolve({ name: `${file}#${place.record}`, label: labelOf(index), image });
    },
    close: () => Promise.resolve(),
  });
}

/** Names of classes, one a line; numbers if there is no such file. */
async function readNames(file: string, count: number): Promise<readonly string[]> {
  const numbers = Array.from({ length: count }, (_, i) => String(i));
  const bytes = await readWhole(file, 2 ** 16).catch(() => undefined);
  const names = new TextDecoder()
    .decode(bytes)
    .split(/\r?\n/)
    .filter((line) => line.trim() !== '')
    .map((line) => printable(line));
  return names.length === count ? names : numbers;
}

/** Pixels of planes. */
function interleave(planes: Uint8Array): PixelImage {
  const data = new Uint8Array(3 * PLANE);
  for (let i = 0; i < PLANE; i++) {
    data[3 * i] = planes[i] as number;
    data[3 * i + 1] = planes[PLANE + i] as number;
    data[3 * i + 2] = planes[2 * PLANE + i] as number;
  }
  return { width: SIDE, height: SIDE, channels: 3, data };
}
