import type { Dataset } from '../data/dataset.ts';
import { decodeSample } from '../data/decode.ts';
import type { CommandContext } from './context.ts';
import { passOverDamaged } from './damaged.ts';
import { writeFolder } from './lab/new-folder.ts';

const GENERATOR = 'widefield data --save';

/**
 * Writes the first samples of each class into a folder, as PNG files named by class and position in the dataset:
 * `ankle-boot-0.png`. Returns how many there are: as many of each class, `count` at least where there are enough that are
 * not damaged.
 * Throws `io` if the folder has files of others in it or cannot be written.
 */
export async function saveSamples(
  dataset: Dataset,
  folder: string,
  count: number,
  context: CommandContext,
): Promise<number> {
  const { signal } = context;
  const each = Math.ceil(count / dataset.classes.length);
  const attempt = passOverDamaged(context);
  const written = new Map<number, number>();
  let total = 0;
  const { default: sharp } = await import('sharp');
  await writeFolder(folder, GENERATOR, async (write) => {
    for (let i = 0; i < dataset.length && total < each * dataset.classes.length; i++) {
      const label = dataset.labelOf(i);
      const before = written.get(label) ?? 0;
      if (before >= each) continue;
      const png = await attempt(async () => {
        const { width, height, channels, data } = await decodeSample(await dataset.read(i), { signal });
        return sharp(data, { raw: { width, height, channels } }).png().toBuffer();
      });
      if (png === undefined) continue;
      await write(`${slug(dataset.classes[label] ?? '')}-${i}.png`, png);
      written.set(label, before + 1);
      total++;
    }
  });
  return total;
}

/** `T-shirt/top` as a part of a file's name: `t-shirt-top`. */
export function slug(text: string): string {
  return text
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}]+/gu, '-')
    .replaceAll(/^-|-$/g, '');
}
