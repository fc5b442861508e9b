import { throwIfAborted } from '../core/errors.ts';
import type { Dataset } from '../data/dataset.ts';
import { decodeSample } from '../data/decode.ts';
import { writeFolder } from './lab/new-folder.ts';

const GENERATOR = 'widefield data --save';

/**
 * Writes the first samples of each class into a folder, as PNG files named by class and position in the dataset:
 * `ankle-boot-0.png`. Returns how many there are: as many of each class, `count` at least where there are enough.
 * Throws `io` if the folder has files of others in it or cannot be written.
 */
export async function saveSamples(
  dataset: Dataset,
  folder: string,
  count: number,
  signal: AbortSignal,
): Promise<number> {
  const indices = firstOfEach(dataset, Math.ceil(count / dataset.classes.length));
  const { default: sharp } = await import('sharp');
  await writeFolder(folder, GENERATOR, async (write) => {
    for (const index of indices) {
      throwIfAborted(signal);
      const { width, height, channels, data } = await decodeSample(await dataset.read(index), { signal });
      const png = await sharp(data, { raw: { width, height, channels } }).png().toBuffer();
      await write(`${slug(dataset.classes[dataset.labelOf(index)] ?? '')}-${index}.png`, png);
    }
  });
  return indices.length;
}

/** The first samples of each class, in the order of the dataset. */
function firstOfEach(dataset: Dataset, each: number): readonly number[] {
  const seen = new Map<number, number>();
  const indices: number[] = [];
  for (let i = 0; i < dataset.length && indices.length < each * dataset.classes.length; i++) {
    const label = dataset.labelOf(i);
    const before = seen.get(label) ?? 0;
    if (before >= each) continue;
    seen.set(label, before + 1);
    indices.push(i);
  }
  return indices;
}

/** `T-shirt/top` as a part of a file's name: `t-shirt-top`. */
export function slug(text: string): string {
  return text
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}]+/gu, '-')
    .replaceAll(/^-|-$/g, '');
}
