import { Command, InvalidArgumentError, Option } from 'commander';

import { ahead } from '../core/ahead.ts';
import { WidefieldError, invalidArgument, throwIfAborted } from '../core/errors.ts';
import { ERF_THRESHOLDS, analyseErf } from '../lab/erf.ts';
import type { Erf } from '../lab/erf.ts';
import { decodeImage } from '../runtime/image/image.ts';
import { photoTransform } from '../runtime/image/presets.ts';
import { applyTransform } from '../runtime/image/transform.ts';
import type { EvalTransform } from '../runtime/image/transform.ts';
import { DEVICE_NAMES } from '../runtime/open.ts';
import type { Device } from '../devices/device.ts';
import { ERF_METHODS, contributionMap } from '../train/erf.ts';
import type { ContributionMap, ErfMemory, ErfMethod } from '../train/erf.ts';
import type { CommandContext } from './context.ts';
import { findImages } from './images.ts';
import { present, withOutputOptions } from './lab/present.ts';
import type { OutputOptions } from './lab/present.ts';
import { modelOf } from './model-file.ts';
import { requireWeights, keysOption } from './model-options.ts';
import type { WeightOptions } from './model-options.ts';
import { withDevice, withNetwork } from './network.ts';
import type { DeviceOptions } from './network.ts';
import { defaultThreads, parseCount, parseModel, parseThreads } from './options.ts';
import { openProgress } from './progress.ts';
import type { Progress } from './progress.ts';
import { formatNumber, right } from './table.ts';

interface ErfOptions extends WeightOptions, DeviceOptions, OutputOptions {
  readonly images: string;
  readonly count: number;
  readonly resolution?: number;
  readonly thresholds?: readonly number[];
  readonly method: ErfMethod;
  readonly output?: string;
  readonly labels?: string;
  readonly memory?: number;
}

/** The paper's, of networks that see so many pixels themselves. */
const RESOLUTION = 1024;
const OWN_RESOLUTION = 224;
const COUNT = 50;
const MAX_RESOLUTION = 2 ** 13;
/** Of the memory that is free: other programs want some, and weights need some too. */
const FREE_SHARE = 0.7;
/** Images that are decoded while one runs. */
const IMAGES_AHEAD = 2;

interface SizedOptions extends ErfOptions {
  readonly resolution: number;
}

/** What was measured of one network. */
interface Measured extends ContributionMap {
  readonly title: string;
  readonly model: string;
  readonly erf: Erf;
}

/** `widefield erf`: effective receptive fields. */
export function erfCommand(context: CommandContext): Command {
  const command = new Command('erf')
    .description('effective receptive fields: which pixels the centre of the last feature map depends on')
    .argument(
      '<models...>',
      'networks such as replknet-31b, or model.json files',
      (text: string, previous: readonly string[] = []) => [...previous, parseModel(text)],
    )
    .requiredOption('--images <folder>', 'photos: a folder, file or glob')
    .option(
      '--weights <files>',
      'a checkpoint for each network, separated by commas, or "synthetic" (default: the networks\' own)',
    );
  return withOutputOptions(command)
    .addOption(keysOption('whose names the checkpoints use (default: found out)'))
    .option('--subtree <key>', 'which part of a checkpoint with several networks, such as model_ema')
    .option('--no-strict', 'take missing tensors as zero, ignore superfluous ones')
    .option('--count <images>', 'how many, the first ones by name', (text) => parseCount(text), COUNT)
    .option(
      '--resolution <pixels>',
      `of the square that images are resized to (default: ${RESOLUTION}, as the paper; less for networks that see less than ${OWN_RESOLUTION})`,
      parsePixels,
    )
    .option('--thresholds <shares>', 'of the score, in percent (default: 20,30,50,99)', parseThresholds)
    .addOption(
      new Option(
        '--method <name>',
        "paper: sums as RepLKNet's paper defines them; code: means without negative outputs, as its script computes them",
      )
        .choices(ERF_METHODS)
        .default('paper'),
    )
    .option(
      '--output <name>',
      'another feature map: stage1 to stage4, or a module (default: that of the last stage)',
    )
    .option('--labels <names>', 'what to call the networks, separated by commas')
    .option(
      '--memory <GiB>',
      'beyond this, activations are recomputed (default: most of what is free)',
      parseGibibytes,
    )
    .addOption(new Option('--device <name>', 'where to run').choices(DEVICE_NAMES).default('auto'))
    .addOption(new Option('--threads <count>', 'threads').argParser(parseThreads).default(defaultThreads()))
    .addHelpText(
      'after',
      `
A network may be named twice, with other weights. Area ratios: the smallest centred square that holds a share of
log(score + 1), as a share of the image.

Examples:
  widefield erf replknet-31b --weights RepLKNet-31B_ImageNet-1K_224.pth --images photos/ --out erf.png
  widefield erf convnext-tiny slak-tiny --weights convnext_tiny.pth,SLaK_tiny.pth --images photos/ --json`,
    )
    .action((models: readonly string[], options: ErfOptions) => runErf(command, models, options, context));
}

async function runErf(
  command: Command,
  models: readonly string[],
  options: ErfOptions,
  context: CommandContext,
): Promise<void> {
  const weights = weightsFor(command, models, options.weights);
  const titles = titlesFor(models, options.labels);
  const files = await imageFiles(options);
  if (files.length < options.count) {
    context.warn(`There are only ${files.length} of the ${options.count} images asked for.`);
  }
  const resolution = options.resolution ?? defaultResolution(models);
  const measured: Measured[] = [];
  await withDevice(options, context, async (device) => {
    const progress = openProgress();
    try {
      for (const [i, model] of models.entries()) {
        const title = titles[i] ?? model;
        const wanted = { ...options, resolution, weights: weights[i] ?? 'synthetic' };
        measured.push(await measure(device, { model, title }, files, wanted, context, progress));
      }
    } finally {
      progress.stop();
    }
  });
  await presentErfs(measured, { ...options, resolution }, context);
}

/** As many times what the largest of the networks sees as the paper's, in steps of 32, which strides divide. */
function defaultResolution(models: readonly string[]): number {
  const own = Math.max(...models.map((model) => modelOf(model).resolution));
  return Math.min(RESOLUTION, 32 * Math.round((RESOLUTION * own) / OWN_RESOLUTION / 32));
}

/** A checkpoint for each network, or those that they have of their own; one of "synthetic" is enough for all. */
function weightsFor(
  command: Command,
  models: readonly string[],
  text: string | undefined,
): readonly string[] {
  if (text === undefined) return models.map((model) => requireWeights(command, model, undefined));
  const list = text.split(',');
  if (list.length === models.length) return list;
  if (list.length === 1 && list[0] === 'synthetic') return models.map(() => 'synthetic');
  return command.error(
    `There are ${models.length} networks, but ${list.length} --weights: give one for each, separated by commas.`,
  );
}

/** Networks that are there twice are told apart by numbers. */
function titlesFor(models: readonly string[], labels: string | undefined): readonly string[] {
  const given = labels?.split(',');
  if (given !== undefined && given.length !== models.length) {
    throw invalidArgument(
      `There are ${models.length} networks, but ${given.length} --labels: give one for each.`,
    );
  }
  const names = given ?? models;
  return names.map((name, i) => {
    const before = names.slice(0, i).filter((other) => other === name).length;
    const same = names.filter((other) => other === name).length;
    return same > 1 ? `${name} (${before + 1})` : name;
  });
}

async function imageFiles({ images, count }: ErfOptions): Promise<readonly string[]> {
  const found = await findImages([images]);
  const files = found.map((entry) => {
    if ('error' in entry) throw new WidefieldError('io', entry.error);
    return entry.file;
  });
  return files.slice(0, count);
}

async function measure(
  device: Device,
  { model, title }: { readonly model: string; readonly title: string },
  files: readonly string[],
  options: SizedOptions & { readonly weights: string },
  context: CommandContext,
  progress: Progress,
): Promise<Measured> {
  const { signal, warn } = context;
  const { resolution, method, output } = options;
  return withNetwork(model, options, context, async ({ variant, graph, weights, keys }) => {
    if (options.weights === 'synthetic') {
      progress.clear();
      warn(
        `The weights of ${title} are synthetic: its receptive field is that of a network which has learned nothing.`,
      );
    }
    // Whole images, resized to the square: nothing is cut off.
    const transform: EvalTransform = { ...photoTransform(variant, resolution, keys), resize: 'warp' };
    const images = readImages(files, transform, signal, (message) => {
      progress.clear();
      warn(message);
      context.fail();
    });
    progress.update(`planning ${title}`, 0);
    const map = await contributionMap(device, graph, weights, images, {
      ...{ method, signal },
      ...(output !== undefined && { output }),
      memoryLimit: (options.memory ?? (FREE_SHARE * process.availableMemory()) / 2 ** 30) * 2 ** 30,
      onPlan: (memory) => {
        progress.clear();
        warn(describeMemory(title, resolution, memory));
        progress.update(`compiling ${title}`);
      },
      onImage: (done) => {
        progress.update(`${title}: ${done} of ${files.length} images`, done / files.length);
      },
    });
    return { ...map, title, model, erf: analyseErf(map, options.thresholds) };
  });
}

function describeMemory(title: string, resolution: number, { arenaBytes, recomputed }: ErfMemory): string {
  const size =
    arenaBytes < 2 ** 30
      ? `${formatNumber(arenaBytes / 2 ** 20)} MiB`
      : `${(arenaBytes / 2 ** 30).toFixed(2)} GiB`;
  const how = recomputed ? ', parts of the forward pass being computed twice' : '';
  return `${title} at ${resolution}×${resolution} takes ${size} of memory for activations and gradients${how}.`;
}

/** Damaged images are named and left out. */
async function* readImages(
  files: readonly string[],
  transform: EvalTransform,
  signal: AbortSignal,
  onDamaged: (message: string) => void,
): AsyncGenerator<Float32Array> {
  const read = async (file: string): Promise<Float32Array> =>
    applyTransform(await decodeImage(file, { signal }), transform);
  for await (const { value, error } of ahead(files, IMAGES_AHEAD, read)) {
    throwIfAborted(signal);
    if (value !== undefined) yield value;
    else onDamaged(error.message);
  }
}

async function presentErfs(
  measured: readonly Measured[],
  options: SizedOptions,
  context: CommandContext,
): Promise<void> {
  const { resolution, method, output, thresholds = ERF_THRESHOLDS } = options;
  const images = Math.max(...measured.map((each) => each.images));
  const setting = `${images} image${images === 1 ? '' : 's'} at ${resolution}×${resolution}, centre of ${output ?? 'the last stage'}`;
  const title = 'Effective receptive fields';
  await present(context, options, {
    json: {
      ...{ resolution, method, output },
      models: measured.map(({ title: name, model, images: count, nonFinite, memory, erf }) => ({
        ...{ name, model, images: count, nonFinite, memory },
        ratios: erf.ratios,
      })),
    },
    tables: [
      {
        title: `Area that holds a share of log(score + 1): ${setting}`,
        columns: [
          { title: 'network' },
          ...thresholds.map((share) => right(`${formatShare(share)}`)),
          right('images'),
        ],
        rows: measured.map(({ title: name, erf, images: count }) => [
          name,
          ...erf.ratios.map(({ ratio }) => `${(100 * ratio).toFixed(1)}%`),
          String(count),
        ]),
        notes: measured.flatMap(({ title: name, nonFinite }) =>
          nonFinite > 0
            ? [`${name}: the gradients of ${nonFinite} images were not finite; these are left out.`]
            : [],
        ),
      },
    ],
    plot: async () => {
      const { plotErfs } = await import('../lab/plots/erf.ts');
      return plotErfs(
        measured.map(({ title: name, erf }) => ({ title: name, erf })),
        { title, subtitle: [setting] },
      );
    },
  });
}

function formatShare(share: number): string {
  return `${Number((100 * share).toPrecision(6))}%`;
}

function parsePixels(text: string): number {
  return parseCount(text, MAX_RESOLUTION);
}

/** `20,30,50,99` → shares. */
function parseThresholds(text: string): readonly number[] {
  return text.split(',').map((item) => {
    const value = Number(item);
    if (item.trim() === '' || !(value > 0 && value <= 100)) {
      throw new InvalidArgumentError('Use percentages above 0 and up to 100, such as 20,30,50,99.');
    }
    return value / 100;
  });
}

function parseGibibytes(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value > 0) || !Number.isFinite(value)) {
    throw new InvalidArgumentError('Use a number of GiB above 0.');
  }
  return value;
}
