import { Option } from 'commander';
import type { Command } from 'commander';

import { createModel } from '../runtime/model.ts';
import type { CreateModelOptions, Model } from '../runtime/model.ts';
import { DEVICE_NAMES } from '../runtime/open.ts';
import type { DeviceName } from '../runtime/open.ts';
import type { Precision } from '../runtime/plan.ts';
import type { KeySet } from '../models/model.ts';
import type { CommandContext } from './context.ts';
import { modelOf, ownWeights } from './model-file.ts';
import { defaultThreads, parseBatch, parseResolution, parseThreads } from './options.ts';
import type { Resolution } from './options.ts';
import { openProgress, showDownload } from './progress.ts';

/** Which weights, and how a checkpoint is read. */
export interface WeightOptions {
  readonly weights?: string;
  readonly keys?: KeySet;
  readonly subtree?: string;
  readonly strict: boolean;
}

/** How a network runs. */
export interface RunnerOptions {
  readonly device: DeviceName;
  readonly threads: number;
  readonly batch: number;
  readonly resolution?: Resolution;
  readonly precision: Precision;
  readonly deploy: boolean;
}

export type ModelCliOptions = WeightOptions & RunnerOptions;

/** `--weights` and what belongs to it. */
export function withWeightOptions(command: Command): Command {
  return command
    .option('--weights <file>', 'a .pth or .safetensors file or its address, or "synthetic"')
    .addOption(keysOption('whose names the checkpoint uses (default: found out)'))
    .option('--subtree <key>', 'which part of a checkpoint with several networks, such as model_ema')
    .option('--no-strict', 'take missing tensors as zero, ignore superfluous ones');
}

export function keysOption(description: string): Option {
  return new Option('--keys <set>', description).choices(['official', 'timm']);
}

/** `--device` and what belongs to it. */
export function withRunnerOptions(command: Command): Command {
  return command
    .addOption(new Option('--device <name>', 'where to run').choices(DEVICE_NAMES).default('auto'))
    .addOption(new Option('--threads <count>', 'threads').argParser(parseThreads).default(defaultThreads()))
    .addOption(new Option('--batch <count>', 'images in one run').argParser(parseBatch).default(1))
    .addOption(resolutionOption())
    .addOption(
      new Option('--precision <type>', 'of weights and products')
        .choices(['float32', 'bf16'])
        .default('float32'),
    )
    .option('--deploy', 'merge parallel branches where that is faster', true)
    .option('--no-deploy', 'run the network in its training form');
}

export function resolutionOption(help = "of the input, or HxW (default: the model's)"): Option {
  return new Option('--resolution <pixels>', help).argParser(parseResolution);
}

/** The weights, those that a network has of its own, or the end of the command with advice where to get some. */
export function requireWeights(command: Command, model: string, weights: string | undefined): string {
  const given = weights ?? ownWeights(model);
  if (given !== undefined) return given;
  return command.error(
    `Give the weights of ${model} with --weights FILE (the README says where official ones are), ` +
      'or run without any download with --weights synthetic.',
  );
}

/** Creates a model for the time of `use`, with a progress bar and remarks on standard error. */
export async function withModel<T>(
  name: string,
  options: LoadOptions,
  context: CommandContext,
  use: (model: Model) => Promise<T>,
): Promise<T> {
  const model = await openModel(name, options, context);
  try {
    return await use(model);
  } finally {
    await model.dispose();
  }
}

type LoadOptions = ModelCliOptions & { readonly weights: string } & Pick<
    CreateModelOptions,
    'labels' | 'features'
  >;

async function openModel(
  name: string,
  options: LoadOptions,
  { signal, warn }: CommandContext,
): Promise<Model> {
  const { resolution, keys, subtree, labels, features } = options;
  const { weights, device, threads, batch, precision, deploy, strict } = options;
  const progress = openProgress();
  let model: Model;
  try {
    model = await createModel(modelOf(name), {
      ...{ weights, device, threads, batch, precision, deploy, strict, signal },
      ...(resolution !== undefined && { resolution }),
      ...(keys && { keys }),
      ...(subtree !== undefined && { subtree }),
      ...(labels && { labels }),
      ...(features !== undefined && { features }),
      onWarning: (message) => {
        progress.clear();
        warn(message);
      },
      onProgress: ({ phase, done, total }) => {
        if (phase === 'download') {
          showDownload(progress, { phase, done, total });
          return;
        }
        const activity = phase === 'compile' ? 'compiling kernels' : 'reading weights';
        progress.update(`${activity} of ${name}`, done / total);
      },
    });
  } finally {
    progress.stop();
  }
  // Where a compiler was expected but is missing, the device says so.
  if (device === 'auto' && model.device.caps.name !== 'native') warn(model.device.note);
  return model;
}

/** Height and width as results name them: one number for squares. */
export function resolutionOf(model: Model): Resolution {
  const [, height, width] = model.inputShape;
  return height === width ? height : [height, width];
}
