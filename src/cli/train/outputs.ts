import path from 'node:path';

import { describeMachine } from '../../bench/machine.ts';
import { openFileSink } from '../../checkpoints/file-sink.ts';
import { countBeyondHalf } from '../../checkpoints/half.ts';
import { writeSafetensors } from '../../checkpoints/safetensors-writer.ts';
import type { TensorToWrite } from '../../checkpoints/safetensors-writer.ts';
import { writeWhole } from '../../checkpoints/write-file.ts';
import type { PhotoTransform } from '../../models/model.ts';
import type { OwnModel } from '../../models/own.ts';
import type { Device } from '../../devices/device.ts';
import { IMAGENET_MEAN, IMAGENET_STD } from '../../runtime/image/transform.ts';
import { buildModelOf } from '../../runtime/model-file.ts';
import type { ModelFile } from '../../runtime/model-file.ts';
import type { TrainResult } from '../../train/options.ts';
import type { CompleteSettings } from '../../train/settings.ts';
import { exportMasks, sparseCounts } from '../../train/sparsity/index.ts';
import type { CommandContext } from '../context.ts';
import { WEIGHTS_FILE } from '../model-file.ts';
import type { TrainConfig } from './config.ts';

export const MODEL_FILE = 'model.json';
export const MASKS_FILE = 'masks.safetensors';
export const RESULT_FILE = 'result.json';

/** What a finished run is told of besides its result. */
export interface Finished {
  readonly folder: string;
  readonly config: TrainConfig;
  readonly classes: readonly string[];
  readonly images: { readonly training: number; readonly validation: number };
  readonly device: Device;
  /** Of the whole run. */
  readonly seconds: number;
}

/** Writes the trained network and what came of the run, each file whole or not at all. Returns `result.json`'s content. */
export async function writeOutputs(
  result: TrainResult,
  finished: Finished,
  { signal, warn }: Pick<CommandContext, 'signal' | 'warn'>,
): Promise<Readonly<Record<string, unknown>>> {
  const { folder, config, classes } = finished;
  const { network, settings } = result;
  const file = (name: string): string => path.join(folder, name);
  const tensors: TensorToWrite[] = [];
  for (const { key, shape } of network.parameters) {
    const isCounter = key.endsWith('num_batches_tracked');
    const lost = config.half && !isCounter ? countBeyondHalf(await result.weights.read(key)) : 0;
    if (lost > 0) warn(`${lost} values of ${key} do not fit float16: it is written as float32.`);
    const dtype = isCounter ? 'int64' : lost > 0 ? 'float32' : undefined;
    tensors.push({ key, shape, ...(dtype && { dtype }) });
  }
  await writeSafetensors(tensors, (key) => result.weights.read(key), await openFileSink(file(WEIGHTS_FILE)), {
    dtype: config.half ? 'float16' : 'float32',
    metadata: { format: 'pt' },
    signal,
  });
  if (settings.sparsity !== undefined) {
    const { scope = 'all' } = settings.sparsity;
    await exportMasks(network.session, await openFileSink(file(MASKS_FILE)), { scope, signal });
  }
  const model = modelFile(config.model, classes, settings);
  await writeWhole(file(MODEL_FILE), [json(model)], signal);
  const record = resultRecord(result, finished);
  await writeWhole(file(RESULT_FILE), [json(record)], signal);
  return record;
}

function resultRecord(
  { network, settings, validation }: TrainResult,
  { config, classes, folder, images, device, seconds }: Finished,
): Readonly<Record<string, unknown>> {
  const { resolution } = settings;
  const graph = buildModelOf(config.model).build({ classes: classes.length, resolution });
  const dense = sparseCounts(graph, () => undefined);
  const sparse = sparseCounts(graph, (key) => densityOf(network, key));
  return {
    model: config.model,
    data: config.data,
    images,
    ...(validation && {
      top1: validation.top1,
      top5: validation.top5,
      loss: validation.loss,
    }),
    ...{ parameters: dense.parameters, macs: dense.macs },
    // Without the weights that are masked away.
    ...(settings.sparsity && { remaining: sparse.parameters, remainingMacs: Math.round(sparse.macs) }),
    epochs: settings.epochs,
    seed: settings.seed,
    seconds: Math.round(10 * seconds) / 10,
    command: `widefield train --config ${path.join(folder, 'config.json')} --folder NEW`,
    device: { name: device.caps.name, threads: config.threads },
    machine: describeMachine(),
  };
}

/** The share of a weight that is not masked away; undefined where nothing is masked. */
function densityOf({ session }: TrainResult['network'], key: string): number | undefined {
  if (session.state('mask') === undefined) return undefined;
  const mask = session.stateOf('mask', key);
  return mask.reduce((a, b) => a + b, 0) / mask.length;
}

function modelFile(
  model: string | OwnModel,
  classes: readonly string[],
  { resolution, evaluation }: CompleteSettings,
): ModelFile {
  const { crop = { kind: 'centre' }, mean = IMAGENET_MEAN, std = IMAGENET_STD } = evaluation;
  const isCentre = crop.kind === 'centre';
  const usual = isCentre ? Math.floor((resolution * 256) / 224) : resolution;
  return {
    model,
    classes,
    resolution,
    photos: {
      resize: (isCentre ? crop.resize : undefined) ?? usual,
      interpolation: (isCentre ? crop.interpolation : undefined) ?? 'bicubic',
      mean: triple(mean),
      std: triple(std),
    },
  };
}

function triple([red = 0, green = 0, blue = 0]: readonly number[]): PhotoTransform['mean'] {
  return [red, green, blue];
}

export function json(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
