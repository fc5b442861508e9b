import { invalidArgument } from '../core/errors.ts';
import type { TransformOptions } from '../data/transform-options.ts';
import type { InitialScheme } from './initialise.ts';
import type { MixOptions } from './mix.ts';
import type { OptimizerOptions } from './optimizer.ts';
import type { ScheduleOptions } from './schedule.ts';
import type { SparsityOptions } from './sparsity/index.ts';

/** What determines a run, with the model and the data: plain numbers and texts, which checkpoints record. */
export interface TrainSettings {
  /** Passes over the training data; default 10. */
  readonly epochs?: number;
  /** Images a step and process; default 64. */
  readonly batchSize?: number;
  /** Batches whose gradients make one update; default 1. */
  readonly accumulate?: number;
  /** Pixels of the square input; default: the model's own. */
  readonly resolution?: number;
  /** Determines initial weights, order, augmentation, drops and masks; default 0. */
  readonly seed?: number;
  /** The highest learning rate; default 4e-3 · images an update / 4096, as in the papers. */
  readonly rate?: number;
  /** Default: a cosine. */
  readonly schedule?: ScheduleOptions;
  /** Epochs of linear warm-up; default 0. */
  readonly warmupEpochs?: number;
  readonly optimizer?: OptimizerOptions;
  /** Largest norm of all gradients together; default: none. */
  readonly clip?: number;
  /** What is spread over all classes; default 0.1. */
  readonly smoothing?: number;
  /** Mixup and CutMix; default: none. */
  readonly mix?: MixOptions;
  /** Stochastic depth of the last block; default 0. */
  readonly dropPath?: number;
  /** Dropout before the classifier; default 0. */
  readonly dropout?: number;
  /** Decay of an exponential moving average of the weights, which is then what is evaluated and kept; default: none. */
  readonly averageDecay?: number;
  /** Recomputes activations in the backward pass: less memory, more time. */
  readonly recompute?: boolean;
  readonly sparsity?: SparsityOptions;
  /** How weights start, where none are given. */
  readonly initial?: { readonly scheme?: InitialScheme; readonly layerScale?: number };
  /** Augmentation of training images; default: random resized crops, mirrored half of the time. */
  readonly transform?: Partial<TransformOptions>;
  /** How images are evaluated; default: as the model's authors do it, or the centre. */
  readonly evaluation?: Partial<TransformOptions>;
  /** Share of a teacher's distribution in the targets; default 0.5 where there is a teacher. */
  readonly distillation?: { readonly share?: number; readonly temperature?: number };
}

/** Settings with their defaults. */
export interface CompleteSettings extends Required<
  Omit<TrainSettings, 'clip' | 'averageDecay' | 'sparsity' | 'resolution'>
> {
  readonly clip: number | undefined;
  readonly averageDecay: number | undefined;
  readonly sparsity: SparsityOptions | undefined;
  readonly resolution: number;
}

/**
 * Fills in defaults.
 *
 * @param resolution the model's own
 * Throws `invalid-argument` naming the first setting that makes no sense.
 */
export function completeSettings(settings: TrainSettings, resolution: number): CompleteSettings {
  const complete: CompleteSettings = {
    epochs: settings.epochs ?? 10,
    batchSize: settings.batchSize ?? 64,
    accumulate: settings.accumulate ?? 1,
    resolution: settings.resolution ?? resolution,
    seed: settings.seed ?? 0,
    rate: settings.rate ?? (4e-3 * (settings.batchSize ?? 64) * (settings.accumulate ?? 1)) / 4096,
    schedule: settings.schedule ?? { kind: 'cosine' },
    warmupEpochs: settings.warmupEpochs ?? 0,
    optimizer: settings.optimizer ?? {},
    clip: settings.clip,
    smoothing: settings.smoothing ?? 0.1,
    mix: settings.mix ?? {},
    dropPath: settings.dropPath ?? 0,
    dropout: settings.dropout ?? 0,
    averageDecay: settings.averageDecay,
    recompute: settings.recompute ?? false,
    sparsity: settings.sparsity,
    initial: settings.initial ?? {},
    transform: settings.transform ?? { crop: { kind: 'random-resized' }, flip: 0.5 },
    evaluation: settings.evaluation ?? {},
    distillation: settings.distillation ?? {},
  };
  for (const name of ['epochs', 'batchSize', 'accumulate', 'resolution'] as const) {
    const value = complete[name];
    if (!Number.isSafeInteger(value) || value < 1) {
      throw invalidArgument(`${name} must be a whole number from 1 on, got ${value}.`);
    }
  }
  if (!Number.isSafeInteger(complete.seed) || complete.seed < 0 || complete.seed >= 2 ** 32) {
    throw invalidArgument(`seed must be a whole number from 0 to ${2 ** 32 - 1}, got ${complete.seed}.`);
  }
  checkRange('rate', complete.rate, 0, Infinity);
  checkRange('warmupEpochs', complete.warmupEpochs, 0, complete.epochs);
  checkRange('smoothing', complete.smoothing, 0, 1);
  checkRange('dropPath', complete.dropPath, 0, 0.999);
  checkRange('dropout', complete.dropout, 0, 0.999);
  if (complete.clip !== undefined) checkRange('clip', complete.clip, Number.MIN_VALUE, Infinity);
  if (complete.averageDecay !== undefined) checkRange('averageDecay', complete.averageDecay, 0, 1);
  checkRange('distillation.share', complete.distillation.share ?? 0.5, 0, 1);
  return complete;
}

function checkRange(name: string, value: number, least: number, most: number): void {
  if (!(value >= least && value <= most) || !Number.isFinite(value)) {
    throw invalidArgument(`${name} must be a number from ${least} to ${most}, got ${value}.`);
  }
}
