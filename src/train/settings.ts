import { invalidArgument } from '../core/errors.ts';
import type { TransformOptions } from '../data/transform-options.ts';
import type { InitialScheme } from './initialise.ts';
import type { MixOptions } from './mix.ts';
import { optimizerDefaults } from './optimizer.ts';
import type { OptimizerOptions } from './optimizer.ts';
import type { ScheduleOptions } from './schedule.ts';
import { settingsFields, settingsSchema } from './settings-schema.ts';
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
  /** The highest learning rate; default 4e-3 · images an update, of all processes, / 4096, as in the papers. */
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
  /**
   * Share of a batch in the running statistics of batch norms; default 0.1, as PyTorch's. EfficientNet-B5 was trained with
   * 0.01 (torchvision).
   */
  readonly normMomentum?: number;
  /** Decay of an exponential moving average of the weights, which is then what is evaluated and kept; default: none. */
  readonly averageDecay?: number;
  /**
   * Takes batch norms' statistics anew, with the weights that are kept: from one more pass over the training data at the end,
   * and from as many images as are evaluated before evaluations on the way. Averaged weights want it. Default false.
   */
  readonly reestimate?: boolean;
  /** Recomputes activations in the backward pass: less memory, more time. */
  readonly recompute?: boolean;
  readonly sparsity?: SparsityOptions;
  /** How weights start, where none are given. */
  readonly initial?: { readonly scheme?: InitialScheme; readonly layerScale?: number };
  /** Augmentation of training images; default: random resized crops, mirrored half of the time. */
  readonly transform?: Partial<TransformOptions>;
  /** How images are evaluated; default: the centre, normalised as in training. */
  readonly evaluation?: Partial<TransformOptions>;
  /** Share of a teacher's distribution in the targets; default 0.5 where there is a teacher. */
  readonly distillation?: { readonly share?: number; readonly temperature?: number };
}

/** Settings with their defaults. */
export interface CompleteSettings extends Required<
  Omit<TrainSettings, 'clip' | 'normMomentum' | 'averageDecay' | 'sparsity' | 'resolution' | 'schedule'>
> {
  readonly clip: number | undefined;
  readonly normMomentum: number | undefined;
  readonly averageDecay: number | undefined;
  readonly sparsity: SparsityOptions | undefined;
  readonly schedule: ScheduleOptions;
  readonly resolution: number;
}

/**
 * Fills in defaults.
 *
 * @param settings other members are left aside
 * @param resolution the model's own
 * @param worldSize processes that share the work
 * Throws `invalid-argument` naming the first setting that makes no sense.
 */
export function completeSettings(
  settings: TrainSettings,
  resolution: number,
  worldSize = 1,
): CompleteSettings {
  const own = Object.entries(settings).filter(([name]) => name in settingsFields);
  const complete = settingsSchema.read(Object.fromEntries(own), '');
  const { epochs, warmupEpochs, batchSize, accumulate, transform, evaluation } = complete;
  if (warmupEpochs > epochs) {
    throw invalidArgument(`The warm-up of ${warmupEpochs} epochs is longer than the run of ${epochs}.`);
  }
  const { mean, std, channels } = transform;
  const { rule, epsilon, layerDecay } = complete.optimizer;
  const { betas, weightDecay } = { ...optimizerDefaults(rule), ...complete.optimizer };
  return {
    ...complete,
    optimizer: { rule, betas, ...(epsilon !== undefined && { epsilon }), weightDecay, layerDecay },
    resolution: complete.resolution ?? resolution,
    rate: complete.rate ?? (4e-3 * batchSize * accumulate * worldSize) / 4096,
    clip: complete.clip,
    normMomentum: complete.normMomentum,
    averageDecay: complete.averageDecay,
    sparsity: complete.sparsity,
    // What a network has learned to see is what it should be shown.
    evaluation: { ...(mean && { mean }), ...(std && { std }), ...(channels && { channels }), ...evaluation },
  };
}
