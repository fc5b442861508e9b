import { Command, Option } from 'commander';

import { measureLoader } from '../bench/bench-data.ts';
import { describeMachine } from '../bench/machine.ts';
import { count, object, withDefault } from '../core/schema.ts';
import { chooseSplit, findDataset, openDataset } from '../data/open.ts';
import { settingsFields } from '../train/settings-schema.ts';
import { transformOf } from '../train/validator.ts';
import type { CommandContext } from './context.ts';
import { decodeManyImages } from './image-decoder.ts';
import { parseCount, parseSeconds } from './options.ts';
import { openProgress } from './progress.ts';
import { formatNumber } from './table.ts';
import { fitToData } from './train/data.ts';
import { configOfFlags, withConfigFlags } from './train/flags.ts';

interface DataBenchOptions {
  readonly split?: string;
  readonly workers: number;
  readonly seconds: number;
  readonly json?: boolean;
}

/** What `widefield train` can be told about images. */
const { batchSize, seed, transform } = settingsFields;
const imageSchema = object('what becomes of images', {
  ...{ batchSize, seed, transform },
  resolution: withDefault(count('pixels of the square input', 1, 2 ** 14), 224),
});

/** `widefield bench data`: how many images a second training can get. */
export function dataCommand(context: CommandContext): Command {
  const command = new Command('data')
    .description('images a second that are read, decoded and augmented as in training')
    .argument('<dataset>', 'images: what train takes as --data')
    .option('--split <name>', 'the part to load (default: train, or all)')
    .addOption(
      new Option('--workers <count>', 'threads that prepare images; 0: the main one')
        .argParser((text) => parseCount(text, 64, 0))
        .default(1),
    )
    .addOption(new Option('--seconds <s>', 'least time').argParser(parseSeconds).default(3))
    .option('--json', 'print one JSON object');
  return withConfigFlags(command, imageSchema)
    .addHelpText(
      'after',
      '\nExample:\n  widefield bench data photos/ --transform-rand-augment rand-m9-mstd0.5',
    )
    .action((dataset: string, options: DataBenchOptions) => run(dataset, options, context));
}

async function run(
  where: string,
  options: DataBenchOptions,
  { signal, print, warn }: CommandContext,
): Promise<void> {
  const { workers, seconds, json = false } = options;
  const raw = configOfFlags({ ...options }, imageSchema);
  const { resolution } = imageSchema.read(raw, '');
  const split = chooseSplit(await findDataset(where), options.split);
  await decodeManyImages();
  const dataset = await openDataset(where, { split, signal });
  const progress = openProgress();
  try {
    const fitted = await fitToData(raw, dataset, resolution);
    const images = imageSchema.read({ ...raw, transform: fitted.transform }, '');
    const rate = await measureLoader(dataset, {
      ...{ workers, seconds, signal, batchSize: images.batchSize, seed: images.seed },
      transform: transformOf(images.transform, resolution),
      onCorrupt: ({ error }) => {
        progress.clear();
        warn(error);
      },
      onProgress: (done) => {
        progress.update('loading images', done);
      },
    });
    progress.stop();
    const report = { machine: describeMachine(), data: dataset.name, workers, ...images, ...rate };
    print(json ? JSON.stringify(report, undefined, 2) : describe(report));
  } finally {
    progress.stop();
    await dataset.close();
  }
}

function describe(report: {
  readonly data: string;
  readonly resolution: number;
  readonly batchSize: number;
  readonly workers: number;
  readonly images: number;
  readonly seconds: number;
  readonly imagesPerSecond: number;
  readonly cores: number;
  readonly imagesPerCoreSecond: number;
}): string {
  const { data, resolution, batchSize: batch, workers, images, seconds } = report;
  const { imagesPerSecond, cores, imagesPerCoreSecond } = report;
  const threads = `${workers} ${workers === 1 ? 'worker' : 'workers'}`;
  return [
    `${data} at ${resolution}×${resolution}, batches of ${batch}, ${threads}: ${formatNumber(imagesPerSecond)} images/s`,
    `${images} images in ${formatNumber(seconds)} s, ${formatNumber(cores)} cores busy: ${formatNumber(imagesPerCoreSecond)} images a second and core`,
  ].join('\n');
}
