import { Command, Option } from 'commander';

import { concatenate } from '../core/concatenate.ts';
import { WidefieldError, invalidArgument, throwIfAborted } from '../core/errors.ts';
import { explain } from '../core/explain.ts';
import { largest } from '../core/largest.ts';
import { readRegularFile } from '../core/regular-file.ts';
import { classify } from '../runtime/classification.ts';
import type { Classification } from '../runtime/classification.ts';
import { DEFAULT_MAX_PIXELS } from '../runtime/image/image.ts';
import { labelsFor } from '../runtime/labels.ts';
import { PACKAGED_MODEL } from '../runtime/packaged-model.ts';
import type { Model } from '../runtime/model.ts';
import { ahead } from '../core/ahead.ts';
import type { CommandContext } from './context.ts';
import { findImages } from './images.ts';
import type { ImageFile } from './images.ts';
import {
  requireWeights,
  resolutionOf,
  withModel,
  withRunnerOptions,
  withWeightOptions,
} from './model-options.ts';
import type { ModelCliOptions } from './model-options.ts';
import { parseCount, parseModel } from './options.ts';
import { openProgress } from './progress.ts';
import { formatNumber, right, tableLines } from './table.ts';

interface ClassifyOptions extends ModelCliOptions {
  /** Default: the packaged one. */
  readonly model?: string;
  readonly top: number;
  /** A file of names. */
  readonly labels?: string;
  readonly maxPixels: number;
  readonly json?: boolean;
}

type Result =
  | { readonly file: string; readonly predictions: readonly Classification[] }
  | { readonly file: string; readonly error: string };

/** Called with each result, in the order in which they come. */
type OnResult = (result: Result, done: number) => void;

/** `widefield classify`: what photos show. */
export function classifyCommand(context: CommandContext): Command {
  const command = new Command('classify')
    .description('say what photos show')
    .argument('<images...>', 'files, folders and globs of JPEG, PNG, WebP, AVIF, GIF or TIFF')
    .option(
      '--model <name>',
      `the network, such as replknet-31b, or a model.json (default: ${PACKAGED_MODEL}, which comes with the package and knows ten kinds of clothes)`,
      parseModel,
    );
  return withRunnerOptions(withWeightOptions(command))
    .option('--top <count>', 'classes for each image', (text) => parseCount(text), 5)
    .option('--labels <file>', 'names of the classes, one a line or a JSON list (default: those of ImageNet)')
    .addOption(
      new Option('--max-pixels <count>', 'larger images are refused')
        .argParser((text) => parseCount(text, 2 ** 40))
        .default(DEFAULT_MAX_PIXELS),
    )
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      `
A model.json and the packaged network have weights of their own; others need --weights.

Examples:
  widefield classify shirt.png
  widefield classify photos/ --model replknet-31b --weights RepLKNet-31B_ImageNet-1K_224.pth`,
    )
    .action(async (images: string[], options: ClassifyOptions) => {
      const { model: name = PACKAGED_MODEL } = options;
      if (options.model === undefined && options.weights !== undefined) {
        command.error('Name the network of these weights with --model.');
      }
      const weights = requireWeights(command, name, options.weights);
      const files = await findImages(images);
      const labels = options.labels === undefined ? undefined : await readLabels(options.labels);
      const { labels: _, model: __, ...rest } = options;
      const wanted = { ...rest, weights, ...(labels && { labels }) };
      await withModel(name, wanted, context, async (model) => {
        if (weights === 'synthetic') {
          context.warn('Synthetic weights have learned nothing: the labels below mean nothing.');
        }
        await classifyFiles(
          files,
          model,
          labels ?? model.variant.labels ?? (await labelsFor(model.classes)),
          options,
          context,
        );
      });
    });
}

async function classifyFiles(
  files: readonly ImageFile[],
  model: Model,
  labels: readonly string[],
  options: ClassifyOptions,
  context: CommandContext,
): Promise<void> {
  const json = options.json === true;
  // Results that scroll by on a terminal are progress enough.
  const progress = json || !process.stdout.isTTY ? openProgress() : undefined;
  const printRow = json ? undefined : tablePrinter(files, context.print);
  const results = new Map<string, Result>();
  try {
    await classifyEach(files, model, labels, options, context, (result, done) => {
      results.set(result.file, result);
      if ('error' in result) {
        progress?.clear();
        context.warn(result.error);
        context.fail();
      } else {
        printRow?.(result.file, result.predictions);
      }
      progress?.update(`${done} of ${files.length} images`, done / files.length);
    });
  } finally {
    progress?.stop();
  }
  if (!json) return;
  const { variant, device } = model;
  const report = {
    model: variant.name,
    device: device.caps.name,
    resolution: resolutionOf(model),
    results: files.map(({ file }) => results.get(file)),
  };
  context.print(JSON.stringify(report, undefined, 2));
}

/** Decodes images of the next batches while a batch runs. */
async function classifyEach(
  files: readonly ImageFile[],
  model: Model,
  labels: readonly string[],
  { top, maxPixels }: ClassifyOptions,
  { signal }: CommandContext,
  onResult: OnResult,
): Promise<void> {
  const [batch] = model.inputShape;
  let done = 0;
  let waiting: { readonly file: string; readonly values: Float32Array }[] = [];
  const runBatch = async (): Promise<void> => {
    const some = waiting;
    waiting = [];
    if (some.length === 0) return;
    const logits = await model.run(concatenate(some.map(({ values }) => values)), { signal });
    some.forEach(({ file }, i) => {
      const own = logits.subarray(i * model.classes, (i + 1) * model.classes);
      onResult({ file, predictions: classify(own, labels, top) }, ++done);
    });
  };
  const prepare = async (entry: ImageFile): Promise<Float32Array> => {
    if ('error' in entry) throw invalidArgument(entry.error);
    return model.prepareImage(entry.file, { maxPixels, signal });
  };
  for await (const { item, value, error } of ahead(files, 2 * batch, prepare)) {
    throwIfAborted(signal);
    if (value !== undefined) waiting.push({ file: item.file, values: value });
    else onResult({ file: item.file, error: error.message }, ++done);
    if (waiting.length === batch) await runBatch();
  }
  await runBatch();
}

/** Prints a table row by row; its widths are known but for the last column's. */
function tablePrinter(
  files: readonly ImageFile[],
  print: (text: string) => void,
): (file: string, predictions: readonly Classification[]) => void {
  const columns = [{ title: 'file' }, right('probability'), { title: 'label' }] as const;
  const { header, line } = tableLines(columns, [largest(files.map(({ file }) => file.length))]);
  let first = true;
  return (file, predictions) => {
    if (first) print(header);
    first = false;
    predictions.forEach(({ probability, label }, i) => {
      print(line([i === 0 ? file : '', `${formatNumber(100 * probability)} %`, label]));
    });
  };
}

/** A file's labels: one name a line, or a JSON list of names. Throws `io`, `invalid-argument`. */
export async function readLabels(file: string): Promise<readonly string[]> {
  let text: string;
  try {
    text = (await readRegularFile(file)).toString('utf8');
  } catch (error) {
    throw new WidefieldError('io', `The labels cannot be read from ${file}: ${explain(error)}.`, {
      cause: error,
    });
  }
  const labels = text.trimStart().startsWith('[') ? parseList(text) : text.trimEnd().split(/\r?\n/);
  if (labels === undefined || labels.every((label) => label.trim() === '')) {
    throw invalidArgument(`${file} holds no labels: write one name a line, or a JSON list of names.`);
  }
  return labels;
}

function parseList(text: string): readonly string[] | undefined {
  try {
    const list: unknown = JSON.parse(text);
    const isNames = Array.isArray(list) && list.every((item) => typeof item === 'string');
    return isNames ? list : undefined;
  } catch {
    return undefined;
  }
}
