import { access } from 'node:fs/promises';
import path from 'node:path';

import { invalidArgument } from '../../core/errors.ts';
import type { ModelVariant } from '../../models/model.ts';
import { hasTransform, transformFor } from '../../runtime/image/presets.ts';
import { buildModelOf } from '../../runtime/model-file.ts';
import { PACKAGED_MODEL, packagedModel } from '../../runtime/packaged-model.ts';
import type { TrainData } from '../../train/options.ts';
import { LOG_FILE } from '../../train/log.ts';
import { RUN_FILE } from '../../train/run.ts';
import { completeSettings } from '../../train/settings.ts';
import { WEIGHTS_FILE, isModelFile, readJson } from '../model-file.ts';
import { isRecord, readConfig, subjectDifferences } from './config.ts';
import type { RawConfig, TrainConfig } from './config.ts';
import { fitToData, openTrainData } from './data.ts';
import { merge } from './flags.ts';
import { MODEL_FILE, RESULT_FILE } from './outputs.ts';
import { checkPicture } from './plot.ts';

/** The config of a run within its folder: all that `--resume` needs. */
export const CONFIG_FILE = 'config.json';

export interface Sources {
  /** A file of options. */
  readonly config?: string;
  /** The folder of a run to go on with. */
  readonly resume?: string;
  /** What flags say, before any file. */
  readonly flags: RawConfig;
}

/** A run that can begin: everything is known, and the images are open. */
export interface PreparedRun {
  readonly config: TrainConfig;
  readonly folder: string;
  readonly variant: ModelVariant;
  readonly data: TrainData;
}

/**
 * Puts together what file, flags and images say.
 *
 * Throws `invalid-argument` for what makes no sense, and for a run that is to be gone on with as another one.
 */
export async function prepareRun(sources: Sources, signal: AbortSignal): Promise<PreparedRun> {
  const { resume, flags } = sources;
  refuseOtherFolder(sources);
  const saved = resume === undefined ? undefined : await readSaved(resume);
  const file = sources.config ?? (resume === undefined ? undefined : path.join(resume, CONFIG_FILE));
  const raw = withModelOfFile(merge(file === undefined ? {} : readOptions(file), flags));
  const given = readConfig(raw, file);
  if (given.plot !== undefined) checkPicture(given.plot);
  const variant = buildModelOf(given.model);
  const data = await openTrainData(given, signal);
  try {
    const resolution = given.resolution ?? variant.resolution;
    const isKnown = given.weights !== undefined && hasTransform(variant.name);
    const photos = isKnown ? transformFor(variant.name, resolution) : undefined;
    const fitted = readConfig(await fitToData(raw, data.training, resolution, photos));
    const settings = withoutUndefined(completeSettings(fitted, variant.resolution));
    const folder = resume ?? given.folder ?? (await freeFolder(variant.name));
    const config = readConfig({ ...fitted, ...settings, folder });
    if (saved !== undefined) refuseOthers(saved, config, folder);
    return { config, folder, variant, data };
  } catch (error) {
    await closeData(data);
    throw error;
  }
}

export async function closeData({ training, validation }: TrainData): Promise<void> {
  await training.close();
  await validation?.close();
}

/**
 * Throws `invalid-argument` if a folder holds a run or a network already, which would be lost. What a run leaves that stopped
 * before its first checkpoint may be written over, and so may the file of options that is given.
 */
export async function refuseOldRun(folder: string, options: string | undefined): Promise<void> {
  if (await hasCheckpoint(folder)) {
    throw invalidArgument(
      `${folder} holds a run already: go on with it by --resume ${folder}, or give another --folder.`,
    );
  }
  const config = path.join(folder, CONFIG_FILE);
  const isOwn = options !== undefined && path.resolve(options) === path.resolve(config);
  const begun = isOwn || (await exists(path.join(folder, LOG_FILE)));
  for (const name of [WEIGHTS_FILE, MODEL_FILE, RESULT_FILE, ...(begun ? [] : [CONFIG_FILE])]) {
    if (!(await exists(path.join(folder, name)))) continue;
    throw invalidArgument(`${folder} holds a ${name} already, which would be lost: give another --folder.`);
  }
}

/** Whether a folder holds a run that can be gone on with. */
export function hasCheckpoint(folder: string): Promise<boolean> {
  return exists(path.join(folder, RUN_FILE));
}

async function readSaved(folder: string): Promise<TrainConfig> {
  const file = path.join(folder, CONFIG_FILE);
  const config = readConfig(readJson(file), file);
  if (await hasCheckpoint(folder)) return config;
  throw invalidArgument(`${folder} has no checkpoint yet: start anew with --config ${file}.`);
}

function refuseOtherFolder({ resume, flags: { folder } }: Sources): void {
  if (resume === undefined || typeof folder !== 'string') return;
  if (path.resolve(folder) === path.resolve(resume)) return;
  throw invalidArgument(
    `A run goes on in its own folder, ${resume}: leave --folder out, or copy that folder.`,
  );
}

function refuseOthers(saved: TrainConfig, config: TrainConfig, folder: string): void {
  const different = subjectDifferences(saved, config);
  if (different.length === 0) return;
  throw invalidArgument(
    `The run in ${folder} cannot be gone on with as another one: it has ${different.join('; ')}.`,
  );
}

function readOptions(file: string): RawConfig {
  const content = readJson(file);
  if (isRecord(content)) return content;
  throw invalidArgument(`${file} must hold an object, such as { "model": "slak-tiny", "data": "photos" }.`);
}

/**
 * The network that a `model.json` or the packaged one names, instead of the file, which may be gone when the run is resumed.
 * A run that starts from weights goes on with the mean and deviation that they have learned with.
 */
function withModelOfFile(raw: RawConfig): RawConfig {
  const { model } = raw;
  const file = model === PACKAGED_MODEL ? packagedModel().file : model;
  if (typeof file !== 'string' || !isModelFile(file)) return raw;
  const content = readOptions(file);
  const learns = typeof raw.weights === 'string';
  const { mean, std }: RawConfig = learns && isRecord(content.photos) ? content.photos : {};
  return {
    ...merge({ transform: withoutUndefined({ mean, std }) }, raw),
    model: content.model,
    resolution: raw.resolution ?? content.resolution,
  };
}

/** `runs/slak-tiny`, or with the first number behind it that is free. */
async function freeFolder(name: string): Promise<string> {
  for (let i = 1; ; i++) {
    const folder = path.join('runs', i === 1 ? name : `${name}-${i}`);
    if (!(await exists(folder))) return folder;
  }
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

function withoutUndefined(value: object): RawConfig {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined));
}
