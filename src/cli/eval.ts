import { Command, Option } from 'commander';

import type { Dataset } from '../data/dataset.ts';
import { isPixels } from '../data/dataset.ts';
import type { CorruptSample } from '../data/loader.ts';
import { matchClasses } from '../data/match-classes.ts';
import { findDataset, heldBackSplit, openDataset } from '../data/open.ts';
import type { CropOptions, TransformOptions } from '../data/transform-options.ts';
import type { Fitted } from '../runtime/fit.ts';
import { photoTransform } from '../runtime/image/presets.ts';
import { DEVICE_NAMES } from '../runtime/open.ts';
import { classReports, confusions, worstClasses } from '../train/class-report.ts';
import type { ClassReport } from '../train/class-report.ts';
import { evaluate } from '../train/evaluate.ts';
import type { Evaluation } from '../train/evaluate.ts';
import { readLabels } from './classify.ts';
import type { CommandContext } from './context.ts';
import { decodeManyImages } from './image-decoder.ts';
import { present, withOutputOptions } from './lab/present.ts';
import type { LabTable, OutputOptions } from './lab/present.ts';
import { formatPercent } from './lab/lab-options.ts';
import { requireWeights, withWeightOptions } from './model-options.ts';
import type { WeightOptions } from './model-options.ts';
import { withDevice, withNetwork } from './network.ts';
import type { DeviceOptions } from './network.ts';
import { defaultThreads, parseBatch, parseCount, parseModel, parseThreads } from './options.ts';
import { openProgress } from './progress.ts';
import { formatNumber, right } from './table.ts';

interface EvalOptions extends WeightOptions, DeviceOptions, OutputOptions {
  readonly data: string;
  readonly split?: string;
  readonly batch: number;
  readonly resolution?: number;
  readonly crop?: 'centre' | 'warp' | 'none';
  readonly mirror?: boolean;
  readonly workers: number;
  readonly labels?: string;
  readonly worst: number;
  readonly corruptLimit: number;
}

const MAX_RESOLUTION = 2 ** 12;
/** As many as the loader takes. */
const MAX_WORKERS = 64;
/** More damaged samples are named by `--json` alone. */
const DAMAGED_SHOWN = 10;

/** `widefield eval`: how well a network classifies a dataset. */
export function evalCommand(context: CommandContext): Command {
  const command = new Command('eval')
    .description('how well a network classifies a dataset: accuracy of all and of each class, confusions')
    .argument('<model>', 'the network, such as replknet-31b, or a model.json', parseModel)
    .requiredOption(
      '--data <path>',
      'a folder of classes, tar shards, Parquet, CIFAR or IDX files; or fashion-mnist',
    );
  return withOutputOptions(withWeightOptions(command))
    .option('--split <name>', 'such as val or test (default: val or test where there is one, else all)')
    .addOption(new Option('--batch <count>', 'images in one run').argParser(parseBatch).default(16))
    .option('--resolution <pixels>', "of the input (default: the model's)", parsePixels)
    .addOption(
      new Option(
        '--crop <kind>',
        "centre: resize, then cut; warp: resize both sides; none (default: the model's)",
      ).choices(['centre', 'warp', 'none']),
    )
    .option('--mirror', 'decide by the mean of the logits of each image and of its mirror image')
    .option('--labels <file>', "names of the network's classes in order, one a line or a JSON list")
    .addOption(new Option('--device <name>', 'where to run').choices(DEVICE_NAMES).default('auto'))
    .addOption(new Option('--threads <count>', 'threads').argParser(parseThreads).default(defaultThreads()))
    .addOption(
      new Option('--workers <count>', 'threads that decode images')
        .argParser(parseWorkers)
        .default(Math.min(4, defaultThreads())),
    )
    .option('--worst <count>', 'classes listed, worst first', (text) => parseCount(text), 10)
    .option('--corrupt-limit <count>', 'give up beyond so many damaged images', parseLimit, 100)
    .addHelpText(
      'after',
      `
Classes are matched by name: folders named by WordNet identifiers (n01440764) or by ImageNet's names, for networks of
ImageNet's 1000 classes; others by --labels, or by their order if the network has as many.

Examples:
  widefield eval replknet-31b --weights RepLKNet-31B_ImageNet-1K_224.pth --data imagenet --split val --out confusion.svg
  widefield eval convnext-tiny --weights convnext_tiny_1k_224_ema.pth --data imagenette2/val --json`,
    )
    .action((name: string, options: EvalOptions) => runEval(command, name, options, context));
}

async function runEval(
  command: Command,
  name: string,
  options: EvalOptions,
  context: CommandContext,
): Promise<void> {
  const weights = requireWeights(command, name, options.weights);
  const labels = options.labels === undefined ? undefined : await readLabels(options.labels);
  await decodeManyImages();
  const dataset = await openEvaluationSplit(options, context.signal);
  try {
    await withNetwork(name, { ...options, weights }, context, async (fitted) => {
      if (weights === 'synthetic') context.warn('Synthetic weights have learned nothing: expect chance.');
      const count = fitted.graph.outputs.get('logits')?.shape[3] ?? 0;
      const names = labels ?? fitted.variant.labels;
      const matched = await matchClasses(dataset, { network: name, count, ...(names && { names }) });
      const transform = await chooseTransform(matched, fitted, options);
      const corrupt: CorruptSample[] = [];
      const { device, evaluation } = await evaluateWith(
        fitted,
        matched,
        transform,
        options,
        context,
        corrupt,
      );
      const report = {
        model: name,
        device,
        dataset,
        classes: matched.classes,
        transform,
        evaluation,
        corrupt,
      };
      await presentEvaluation(report, options, context);
    });
  } finally {
    await dataset.close();
  }
}

/** The split asked for; else validation or test images, where the dataset tells them from others. */
async function openEvaluationSplit({ data, split }: EvalOptions, signal: AbortSignal): Promise<Dataset> {
  if (split !== undefined) return openDataset(data, { split, signal });
  const { splits } = await findDataset(data);
  const held = heldBackSplit(splits);
  return openDataset(data, { signal, ...(held !== undefined && { split: held }) });
}

async function evaluateWith(
  { graph, weights }: Fitted,
  dataset: Dataset,
  transform: TransformOptions,
  options: EvalOptions,
  context: CommandContext,
  corrupt: CorruptSample[],
): Promise<{ readonly device: string; readonly evaluation: Evaluation }> {
  const { signal, warn } = context;
  return withDevice(options, context, async (device) => {
    const progress = openProgress();
    try {
      progress.update(`compiling ${graph.name}`, 0);
      const evaluation = await evaluate(device, graph, weights, dataset, {
        transform,
        mirror: options.mirror === true,
        signal,
        workers: options.workers,
        corruptLimit: options.corruptLimit,
        onCorrupt: (sample) => {
          corrupt.push(sample);
          progress.clear();
          if (corrupt.length <= DAMAGED_SHOWN) warn(sample.error);
        },
        onProgress: (done, total) => {
          progress.update(`${done} of ${total} images`, done / total);
        },
      });
      return { device: device.caps.name, evaluation };
    } finally {
      progress.stop();
    }
  });
}

/** As the authors of the model prepare photos; images that are pixels of the right size stay as they are. */
async function chooseTransform(
  dataset: Dataset,
  { variant, keys, graph }: Fitted,
  { crop }: EvalOptions,
): Promise<TransformOptions> {
  const [, size] = graph.input.shape;
  const { resize, interpolation, mean, std } = photoTransform(variant, size, keys);
  const own: CropOptions = { kind: 'centre', resize, interpolation };
  const common = { size, mean, std };
  switch (crop) {
    case 'none':
      return { ...common, crop: { kind: 'none' } };
    case 'warp':
      return { ...common, crop: { ...own, resize: 'warp' } };
    case 'centre':
      return { ...common, crop: resize === 'warp' ? { kind: 'centre', interpolation } : own };
    default: {
      // Damaged ones say nothing; they are reported later.
      const image = await dataset.read(0).then(
        (sample) => sample.image,
        () => undefined,
      );
      const fits = image !== undefined && isPixels(image) && image.width === size && image.height === size;
      return { ...common, crop: fits ? { kind: 'none' } : own };
    }
  }
}

interface EvalReport {
  readonly model: string;
  readonly device: string;
  readonly dataset: Dataset;
  /** Names of the network's classes. */
  readonly classes: readonly string[];
  readonly transform: TransformOptions;
  readonly evaluation: Evaluation;
  readonly corrupt: readonly CorruptSample[];
}

async function presentEvaluation(
  report: EvalReport,
  options: EvalOptions,
  context: CommandContext,
): Promise<void> {
  const { model, device, dataset, classes, transform, evaluation, corrupt } = report;
  const { images, top1, top5, loss, imagesPerSecond } = evaluation;
  const reports = classReports(evaluation, classes);
  const cells = confusions(evaluation);
  const title = `${model} on ${dataset.name}${options.mirror === true ? ', with mirror images' : ''}`;
  const facts = `${images} images at ${String(transform.size)}×${String(transform.size)}: top-1 ${formatPercent(top1, 2)}, top-5 ${formatPercent(top5, 2)}`;
  await present(context, options, {
    json: {
      ...{ model, device, data: dataset.name, resolution: transform.size, batch: options.batch },
      ...{ mirror: options.mirror === true, images, top1, top5, loss, imagesPerSecond },
      corrupt: corrupt.map(({ error }) => error),
      classes: reports,
      confusion: cells,
    },
    tables: [
      summaryTable(title, report, reports),
      ...(reports.length > 1 ? [worstTable(worstClasses(reports, options.worst), reports.length)] : []),
    ],
    plot: async () => {
      const { plotConfusion } = await import('../lab/plots/confusion.ts');
      return plotConfusion(cells, classes, { title, subtitle: [facts] });
    },
  });
}

function summaryTable(title: string, report: EvalReport, classes: readonly ClassReport[]): LabTable {
  const { evaluation, corrupt } = report;
  const mean = classes.reduce((sum, { accuracy }) => sum + accuracy, 0) / Math.max(classes.length, 1);
  const rows = [
    ['images', String(evaluation.images)],
    ['top-1', formatPercent(evaluation.top1, 2)],
    ['top-5', formatPercent(evaluation.top5, 2)],
    [`mean of ${classes.length} classes`, formatPercent(mean, 2)],
    ['loss', formatNumber(evaluation.loss)],
    ['images/s', formatNumber(evaluation.imagesPerSecond)],
    ...(corrupt.length > 0 ? [['damaged, left out', String(corrupt.length)]] : []),
  ];
  return { title, columns: [{ title: '' }, right('')], rows };
}

function worstTable(worst: readonly ClassReport[], of: number): LabTable {
  return {
    title: worst.length < of ? `The worst ${worst.length} of ${of} classes` : 'Classes, worst first',
    columns: [{ title: 'class' }, right('images'), right('top-1'), { title: 'mostly taken for' }],
    rows: worst.map(({ name, images, accuracy, mistakenFor }) => [
      name,
      String(images),
      formatPercent(accuracy),
      mistakenFor === undefined ? '' : `${mistakenFor.name} (${mistakenFor.images})`,
    ]),
  };
}

function parsePixels(text: string): number {
  return parseCount(text, MAX_RESOLUTION);
}

function parseWorkers(text: string): number {
  return text.trim() === '0' ? 0 : parseCount(text, MAX_WORKERS);
}

function parseLimit(text: string): number {
  return text.trim() === '0' ? 0 : parseCount(text);
}
