import path from 'node:path';

import { Command, InvalidArgumentError, Option } from 'commander';
import type { Sharp } from 'sharp';

import { checkWritable } from '../checkpoints/file-sink.ts';
import { writeWhole } from '../checkpoints/write-file.ts';
import { printable } from '../checkpoints/text.ts';
import { RandomStream } from '../core/random.ts';
import { WidefieldError, invalidArgument, throwIfAborted } from '../core/errors.ts';
import { createAugmentation } from '../data/augmentation.ts';
import type { Augmentation } from '../data/augmentation.ts';
import { countClasses, isPixels } from '../data/dataset.ts';
import type { Dataset } from '../data/dataset.ts';
import { decodeSample } from '../data/decode.ts';
import { findDataset, openDataset } from '../data/open.ts';
import { sampleOrder } from '../data/order.ts';
import { completeTransform } from '../data/transform-options.ts';
import type { CropOptions, TransformOptions } from '../data/transform-options.ts';
import type { CommandContext } from './context.ts';
import { passOverDamaged } from './damaged.ts';
import { parseCount } from './options.ts';
import { openProgress } from './progress.ts';
import { saveSamples } from './save-samples.ts';
import { formatTable } from './table.ts';
import { paddingFor } from './train/data.ts';

interface DataOptions {
  readonly split?: string;
  readonly json?: boolean;
  readonly check?: boolean;
  readonly sheet?: string;
  /** A folder. */
  readonly save?: string;
  readonly samples: number;
  readonly size?: number;
  readonly crop?: CropOptions['kind'];
  readonly flip?: number;
  readonly randAugment?: string;
  readonly colourJitter?: number;
  readonly erase?: number;
  readonly seed: number;
}

/** How many samples are decoded to learn the sizes of images, unless all are checked. */
const SIZES_FROM = 100;
/** What sharp takes by default. */
const MAX_SHEET_PIXELS = 0x3fff ** 2;
/** Longer lists are for `--json`. */
const CLASSES_SHOWN = 20;

const CROPS: readonly CropOptions['kind'][] = ['none', 'pad', 'random-resized', 'centre'];

/** What is known about one split. */
interface SplitReport {
  readonly split: string;
  readonly samples: number;
  readonly classes: readonly { readonly name: string; readonly samples: number }[];
  /** Of the samples that were decoded. */
  readonly sizes: {
    readonly decoded: number;
    readonly width: readonly [number, number];
    readonly height: readonly [number, number];
  };
  readonly corrupt: readonly string[];
  readonly strays: readonly { readonly name: string; readonly reason: string }[];
}

export function dataCommand(context: CommandContext): Command {
  return new Command('data')
    .description('Tells what a dataset holds, and shows what training sees of it.')
    .argument(
      '<dataset>',
      'a folder or file: IDX, CIFAR, Parquet, tar shards, folders of images; or fashion-mnist',
    )
    .option('--split <name>', 'only this one, such as train, val or test')
    .option('--check', `decode all samples and name the damaged ones (else ${SIZES_FROM} of them)`)
    .option('--sheet <file.png>', 'draw samples as a network would see them', parseSheet)
    .option('--save <folder>', 'write samples as PNG files, as many of each class')
    .option('--samples <n>', 'how many are drawn or written', (text) => parseCount(text, 1024), 64)
    .option('--size <pixels>', 'size of what the network sees; default: 28 to 224', (text) =>
      parseCount(text, 1024),
    )
    .addOption(new Option('--crop <kind>', 'default: centre').choices(CROPS))
    .option('--flip <probability>', 'mirror left to right', (text) =>
      checked(parseNumber(text), (flip) => ({ flip })),
    )
    .option('--rand-augment <setting>', 'such as rand-m9-mstd0.5-inc1', (text) =>
      checked(text, (randAugment) => ({ randAugment })),
    )
    .option('--colour-jitter <amount>', 'change brightness, contrast and saturation, such as 0.4', (text) =>
      checked(parseNumber(text), (colourJitter) => ({ colourJitter })),
    )
    .option('--erase <probability>', 'random erasing', (text) =>
      checked(parseNumber(text), (erase) => ({ erase })),
    )
    .option('--seed <n>', 'for samples and augmentation', (text) => parseCount(text, 2 ** 32 - 1, 0), 1)
    .option('--json', 'print JSON')
    .action((where: string, options: DataOptions) => runData(where, options, context));
}

/** A sheet is a PNG, whatever it is called. */
function parseSheet(text: string): string {
  if (path.extname(text).toLowerCase() !== '.png') {
    throw new InvalidArgumentError('Use a name that ends in .png.');
  }
  return text;
}

/** A number; commander puts the option's name before what is thrown. */
function parseNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('Use a number.');
  return value;
}

/** The value, if transforms may have it. */
function checked<T>(value: T, asOptions: (value: T) => Partial<TransformOptions>): T {
  try {
    completeTransform({ size: 224, ...asOptions(value) });
  } catch (error) {
    throw error instanceof WidefieldError ? new InvalidArgumentError(error.message) : error;
  }
  return value;
}

async function runData(where: string, options: DataOptions, context: CommandContext): Promise<void> {
  if (options.sheet !== undefined) checkWritable(options.sheet);
  const location = await findDataset(where);
  const reports: SplitReport[] = [];
  let saved = 0;
  for (const split of options.split === undefined ? location.splits : [options.split]) {
    const dataset = await openDataset(where, { split, signal: context.signal });
    try {
      const report = await inspect(dataset, split, options.check === true, context);
      reports.push(report);
      if (report.corrupt.length > 0) context.fail();
      if (options.sheet !== undefined && reports.length === 1) {
        await drawSheet(dataset, options.sheet, options, context);
      }
      if (options.save !== undefined && reports.length === 1) {
        saved = await saveSamples(dataset, options.save, options.samples, context);
      }
    } finally {
      await dataset.close();
    }
  }
  if (options.json === true) {
    context.print(
      JSON.stringify({ path: location.path, kind: location.kind, splits: reports }, undefined, 2),
    );
    return;
  }
  context.print(`${location.path}: ${location.kind}`);
  for (const report of reports) context.print(`\n${describeSplit(report)}`);
  if (options.sheet !== undefined)
    context.print(`\nSamples of ${reports[0]?.split ?? ''} are in ${options.sheet}.`);
  if (options.save !== undefined)
    context.print(`\n${saved} samples of ${reports[0]?.split ?? ''} are in ${options.save}.`);
}

/** Counts classes, and decodes some samples, spread over the set, or all. */
async function inspect(
  dataset: Dataset,
  split: string,
  all: boolean,
  { signal }: CommandContext,
): Promise<SplitReport> {
  const counts = countClasses(dataset);
  const decoded = all ? dataset.length : Math.min(dataset.length, SIZES_FROM);
  const corrupt: string[] = [];
  const widths: number[] = [];
  const heights: number[] = [];
  const progress = openProgress();
  try {
    for (let i = 0; i < decoded; i++) {
      throwIfAborted(signal);
      progress.update(`${i} of ${decoded} samples`, i / decoded);
      try {
        const image = await decodeSample(await dataset.read(Math.floor((i * dataset.length) / decoded)), {
          signal,
        });
        widths.push(image.width);
        heights.push(image.height);
      } catch (error) {
        throwIfAborted(signal);
        corrupt.push(error instanceof Error ? error.message : String(error));
      }
    }
  } finally {
    progress.stop();
  }
  return {
    split,
    samples: dataset.length,
    classes: dataset.classes.map((name, i) => ({ name, samples: counts[i] ?? 0 })),
    sizes: { decoded, width: range(widths), height: range(heights) },
    corrupt,
    strays: dataset.strays ?? [],
  };
}

function range(values: readonly number[]): readonly [number, number] {
  return values.length === 0
    ? [0, 0]
    : values.reduce<[number, number]>(
        ([low, high], value) => [Math.min(low, value), Math.max(high, value)],
        [Infinity, -Infinity],
      );
}

function describeSplit({ split, samples, classes, sizes, corrupt, strays }: SplitReport): string {
  const { width, height, decoded } = sizes;
  const span = ([low, high]: readonly [number, number]): string =>
    low === high ? `${low}` : `${low}–${high}`;
  const which = decoded === samples ? 'all' : `${decoded}`;
  const lines = [
    `${split}: ${samples} samples of ${classes.length} classes, ${span(width)} × ${span(height)} pixels (${which} decoded)`,
    formatTable(
      [{ title: 'label', align: 'right' }, { title: 'class' }, { title: 'samples', align: 'right' }],
      classes
        .slice(0, CLASSES_SHOWN)
        .map(({ name, samples: count }, i) => [String(i), printable(name), String(count)]),
    ),
  ];
  if (classes.length > CLASSES_SHOWN)
    lines.push(`… ${classes.length - CLASSES_SHOWN} more classes: see --json`);
  lines.push(...some('damaged', corrupt));
  lines.push(
    ...some(
      'stray',
      strays.map(({ name, reason }) => `${name}: ${reason}`),
    ),
  );
  return lines.join('\n');
}

function some(what: string, items: readonly string[]): string[] {
  if (items.length === 0) return [];
  const more = items.length > 10 ? [`  … ${items.length - 10} more: see --json`] : [];
  return [`${items.length} ${what}:`, ...items.slice(0, 10).map((item) => `  ${item}`), ...more];
}

/** A picture of samples as the network gets them, normalisation undone. */
async function drawSheet(
  dataset: Dataset,
  file: string,
  options: DataOptions,
  context: CommandContext,
): Promise<void> {
  const { signal } = context;
  const augmentation = createAugmentation(await chooseTransform(dataset, options));
  const [height, width, channels] = augmentation.shape;
  const count = Math.min(options.samples, dataset.length);
  const columns = Math.ceil(Math.sqrt(count));
  const rows = Math.ceil(count / columns);
  const gap = 2;
  const sheetWidth = columns * (width + gap) + gap;
  const sheetHeight = rows * (height + gap) + gap;
  if (sheetWidth * sheetHeight > MAX_SHEET_PIXELS) {
    throw invalidArgument(
      `A sheet of ${sheetWidth} × ${sheetHeight} pixels is too large: draw fewer --samples, or smaller ones with --size.`,
    );
  }
  const pixels = new Uint8Array(sheetWidth * sheetHeight * 3).fill(255);
  const values = new Float32Array(height * width * channels);
  const attempt = passOverDamaged(context);
  let drawn = 0;
  for (const index of sampleOrder(dataset, true, options.seed, 0)) {
    if (drawn === count) break;
    const random = new RandomStream(options.seed, 0, index);
    const isSound = await attempt(async () => {
      await augmentation.apply(await dataset.read(index), random, values, { signal });
      return true;
    });
    if (isSound === undefined) continue;
    const left = gap + (drawn % columns) * (width + gap);
    const top = gap + Math.floor(drawn / columns) * (height + gap);
    drawn++;
    for (let y = 0; y < height; y++) {
      paintRow(augmentation, values, y, pixels, ((top + y) * sheetWidth + left) * 3);
    }
  }
  const { default: sharp } = await import('sharp');
  const image: Sharp = sharp(pixels, { raw: { width: sheetWidth, height: sheetHeight, channels: 3 } });
  await writeWhole(file, [await image.png().toBuffer()], signal);
}

function paintRow(
  { shape: [, width, channels], options: { mean, std } }: Augmentation,
  values: Float32Array,
  y: number,
  pixels: Uint8Array,
  to: number,
): void {
  for (let k = 0; k < width * 3; k++) {
    const channel = channels === 1 ? 0 : k % 3;
    const value = values[(y * width + Math.floor(k / 3)) * channels + channel] ?? 0;
    const level = 255 * (value * (std[channel] ?? 1) + (mean[channel] ?? 0));
    pixels[to + k] = Math.max(0, Math.min(255, Math.round(level)));
  }
}

/** What the options say; images that have been decoded keep their size and channels. */
async function chooseTransform(dataset: Dataset, options: DataOptions): Promise<TransformOptions> {
  // A damaged one says nothing, and is named when it is drawn.
  const image = await dataset.read(0).then(
    (sample) => sample.image,
    () => undefined,
  );
  const { crop, flip, randAugment, colourJitter, erase } = options;
  const own = image !== undefined && isPixels(image) ? image : undefined;
  const size = options.size ?? (own ? ([own.height, own.width] as const) : 224);
  const kind = crop ?? (own && options.size === undefined ? 'none' : 'centre');
  const shorter = typeof size === 'number' ? size : Math.min(...size);
  return {
    size,
    channels: own?.channels ?? 3,
    // As training pads where its options say nothing.
    crop: kind === 'pad' ? { kind, padding: paddingFor(shorter) } : { kind },
    ...(flip !== undefined && { flip }),
    ...(randAugment !== undefined && { randAugment }),
    ...(colourJitter !== undefined && { colourJitter }),
    ...(erase !== undefined && { erase }),
  };
}
