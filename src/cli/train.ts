import path from 'node:path';

import { Command } from 'commander';

import { describeMachine } from '../bench/machine.ts';
import { checkWritable } from '../checkpoints/file-sink.ts';
import { writeWhole } from '../checkpoints/write-file.ts';
import { WidefieldError } from '../core/errors.ts';
import { explain } from '../core/explain.ts';
import { makeFolders } from '../core/make-folders.ts';
import { completeTransform } from '../data/transform-options.ts';
import { openDataWorkers } from '../data/workers.ts';
import type { Device } from '../devices/device.ts';
import { LOG_FILE, readLog } from '../train/log.ts';
import type { TrainOptions, TrainResult } from '../train/options.ts';
import { RUN_FILE } from '../train/run.ts';
import { train } from '../train/train.ts';
import { transformOf } from '../train/validator.ts';
import type { CommandContext } from './context.ts';
import { decodeManyImages } from './image-decoder.ts';
import { withDevice } from './network.ts';
import { configSchema, withNulls } from './train/config.ts';
import { configOfFlags, withConfigFlags } from './train/flags.ts';
import { whileLocked } from './train/lock.ts';
import { MODEL_FILE, json, writeOutputs } from './train/outputs.ts';
import { checkPicture, drawCurves } from './train/plot.ts';
import { CONFIG_FILE, closeData, hasCheckpoint, prepareRun, refuseOldRun } from './train/prepare.ts';
import type { PreparedRun } from './train/prepare.ts';
import { Reporter, formatSeconds } from './train/report.ts';
import { openStartingWeights, openTeacher } from './train/weights.ts';

interface OwnOptions {
  readonly config?: string;
  readonly resume?: string;
  readonly json?: boolean;
  readonly printConfig?: boolean;
  readonly schema?: boolean;
  readonly plotOnly?: string;
  readonly plot?: string;
}

/** `widefield train`: trains a network on labelled images. */
export function trainCommand(context: CommandContext): Command {
  const command = new Command('train')
    .description('train or fine-tune a network on labelled images')
    .option('--config <file>', 'JSON with the options below; flags come before it')
    .option('--resume <folder>', 'go on with the run in that folder, bit for bit as if it had never stopped')
    .option('--json', 'print the log: JSON objects, one a line')
    .option('--print-config', 'print the config with all defaults, and end')
    .option('--schema', 'print the JSON Schema of configs, and end')
    .option('--plot-only <folder>', 'draw the curves of a run from its log, and end');
  return withConfigFlags(command)
    .addHelpText(
      'after',
      `
A member of an object in the config is a flag with both names: { "mix": { "cutmix": 1 } } is --mix-cutmix 1. The value
"none" takes away what the file says. Flags without a short form take JSON: --transform-crop '{"kind":"pad","padding":3}'.

The folder gets config.json, log.jsonl, run.safetensors (to resume), and at the end model.safetensors, model.json and
result.json. Ctrl-C, SIGTERM and SIGHUP write a checkpoint first.

Examples:
  widefield train --model slak-tiny --data imagenette2 --epochs 30 --batch-size 32 --sparsity 0.4
  widefield train --config run.json --seed 1 --folder runs/seed-1 --plot curves.svg
  widefield train --resume runs/seed-1`,
    )
    .action((options: OwnOptions) => runTrain(options, context));
}

async function runTrain(options: OwnOptions, context: CommandContext): Promise<void> {
  if (options.schema === true) {
    const schema = { $schema: 'https://json-schema.org/draft/2020-12/schema', ...configSchema().json };
    context.print(JSON.stringify(schema, undefined, 2));
    return;
  }
  if (options.plotOnly !== undefined) return plotOnly(options.plotOnly, options.plot, context);
  const sources = {
    ...(options.config !== undefined && { config: options.config }),
    ...(options.resume !== undefined && { resume: options.resume }),
    flags: configOfFlags({ ...options }),
  };
  const run = await prepareRun(sources, context.signal);
  try {
    if (options.printConfig === true) context.print(JSON.stringify(withNulls(run.config), undefined, 2));
    else {
      await makeFolder(run.folder);
      if (run.config.plot !== undefined) checkWritable(run.config.plot);
      await whileLocked(run.folder, () => trainIn(run, options, context));
    }
  } finally {
    await closeData(run.data);
  }
}

async function plotOnly(folder: string, plot: string | undefined, context: CommandContext): Promise<void> {
  const file = plot ?? path.join(folder, 'curves.svg');
  checkPicture(file);
  await drawCurves(await readLog(path.join(folder, LOG_FILE)), file, context.signal);
  context.warn(`The curves are in ${file}.`);
}

/** Trains within a folder that no other process trains in. */
async function trainIn(run: PreparedRun, options: OwnOptions, context: CommandContext): Promise<void> {
  const { config, folder, data } = run;
  const resumes = options.resume !== undefined;
  if (!resumes) {
    await refuseOldRun(folder, options.config);
    await writeWhole(path.join(folder, CONFIG_FILE), [json(config)], context.signal);
  }
  const before = resumes ? (await readLog(path.join(folder, LOG_FILE))).elapsed : 0;
  const reporter = new Reporter(
    context,
    {
      folder,
      json: options.json === true,
      logEvery: config.logEvery,
      ...(config.plot !== undefined && { plot: config.plot }),
      evaluates: data.validation !== undefined,
      sparse: config.sparsity !== undefined,
    },
    before,
  );
  reporter.write(
    resumes ? { type: 'resume', elapsed: before } : { type: 'config', config, machine: describeMachine() },
  );
  if (options.json !== true) context.print(describeData(run));
  try {
    await withDevice(config, context, (device) => trainOn(device, run, resumes, reporter, context));
  } catch (error) {
    if (context.signal.aborted) {
      reporter.write({ type: 'stop', elapsed: reporter.elapsed });
      const isWanted = error instanceof WidefieldError && error.code === 'aborted';
      if (!isWanted) reporter.warn(error instanceof Error ? error.message : String(error));
      if (await hasCheckpoint(folder)) {
        reporter.warn(`Stopped; go on with: widefield train --resume ${folder}`);
      }
    }
    throw error;
  } finally {
    await reporter.stop();
  }
}

async function trainOn(
  device: Device,
  run: PreparedRun,
  resumes: boolean,
  reporter: Reporter,
  context: CommandContext,
): Promise<void> {
  const { config, folder, variant, data } = run;
  const { classes } = data.training;
  const { batchSize: batch, resolution = variant.resolution, seed, initial } = config;
  const transform = completeTransform(transformOf(config.transform, resolution));
  reporter.status(`compiling ${variant.name}`);
  await decodeManyImages();
  const workers = config.workers > 0 ? await openDataWorkers(config.workers) : undefined;
  const weights =
    config.weights === undefined || resumes
      ? undefined
      : await openStartingWeights(config.weights, variant, classes.length, { seed, ...initial }, context);
  const teacher =
    config.teacher &&
    (await openTeacher(config.teacher, device, { batch, resolution, classes, transform }, context));
  const { weights: _, teacher: __, ...settings } = config;
  const options: TrainOptions = {
    ...settings,
    ...{ device, folder, signal: context.signal },
    ...(resumes && { resume: path.join(folder, RUN_FILE) }),
    workers: workers ?? 0,
    ...(weights && { weights }),
    ...(teacher && { teacher }),
    onStep: (report) => {
      reporter.onStep(report);
    },
    onEpoch: (report) => {
      reporter.onEpoch(report);
    },
    onCorrupt: (sample) => {
      reporter.onCorrupt(sample);
    },
  };
  try {
    const result = await train(variant, data, options);
    try {
      await finish(result, device, run, reporter, context);
    } finally {
      await result.dispose();
    }
  } finally {
    await teacher?.dispose();
    await weights?.close();
    await workers?.close();
  }
}

async function finish(
  result: TrainResult,
  device: Device,
  { config, folder, data }: PreparedRun,
  reporter: Reporter,
  context: CommandContext,
): Promise<void> {
  const images = { training: data.training.length, validation: data.validation?.length ?? 0 };
  const { classes } = data.training;
  const seconds = reporter.elapsed;
  const record = await writeOutputs(
    result,
    { folder, config, classes, images, device, seconds },
    {
      signal: context.signal,
      warn: (message) => {
        reporter.warn(message);
      },
    },
  );
  reporter.write({ type: 'end', ...record, elapsed: seconds });
  if (reporter.options.json) return;
  const { validation } = result;
  const accuracy =
    validation === undefined
      ? ''
      : `: ${(100 * validation.top1).toFixed(2)}% of ${validation.images} images held back`;
  context.print(
    `\n${config.epochs} ${config.epochs === 1 ? 'epoch' : 'epochs'} in ${formatSeconds(seconds)}${accuracy}. Use it with:`,
  );
  context.print(`  widefield classify photo.jpg --model ${path.join(folder, MODEL_FILE)}`);
}

function describeData({ data: { training, validation }, variant, folder }: PreparedRun): string {
  const held = validation === undefined ? 'none held back' : `${validation.length} held back`;
  return `${variant.name} on ${training.name}: ${training.length} images of ${training.classes.length} classes, ${held}; in ${folder}\n`;
}

async function makeFolder(folder: string): Promise<void> {
  try {
    await makeFolders(folder);
  } catch (error) {
    throw new WidefieldError('io', `The folder ${folder} cannot be made: ${explain(error)}.`, {
      cause: error,
    });
  }
}
