import type { WeightSource } from '../checkpoints/source.ts';
import type { Dataset } from '../data/dataset.ts';
import type { CorruptSample, LoadOptions } from '../data/loader.ts';
import type { Device } from '../devices/device.ts';
import type { Evaluation } from './evaluate.ts';
import type { TrainingNetwork } from './network.ts';
import type { CompleteSettings, TrainSettings } from './settings.ts';
import type { Adaptation } from './sparsity/controller.ts';
import type { Teacher } from './teacher.ts';

/** What one update did. */
export interface StepReport {
  /** From 0. */
  readonly epoch: number;
  /** Updates done, this one included, and of how many. */
  readonly step: number;
  readonly steps: number;
  /** Mean over the images of the update. */
  readonly loss: number;
  /** Share of images whose label is the network's first; of mixed images, the label of the larger part. */
  readonly accuracy: number;
  readonly rate: number;
  /** Norm of all gradients, where they are clipped. */
  readonly gradientNorm: number | undefined;
  readonly images: number;
  readonly seconds: number;
  readonly adaptation: Adaptation | undefined;
}

/** What one epoch came to. */
export interface EpochReport {
  readonly epoch: number;
  readonly epochs: number;
  /** Updates done. */
  readonly step: number;
  /** Means over the epoch. */
  readonly loss: number;
  readonly accuracy: number;
  readonly seconds: number;
  readonly validation: Evaluation | undefined;
  /** Share of masked weights that are not zero. */
  readonly density: number | undefined;
}

export interface TrainData {
  readonly training: Dataset;
  readonly validation?: Dataset;
}

/** What a run is given beside its settings: where it runs, who is told, how it ends. */
export interface TrainOptions extends TrainSettings {
  readonly device: Device;
  /** Weights to start from; default: initial ones. */
  readonly weights?: Pick<WeightSource, 'read'>;
  /** A network whose distributions take part in the targets. */
  readonly teacher?: Teacher;
  /** Folder for checkpoints, made if it is missing; default: none are written. */
  readonly folder?: string;
  /** Updates between checkpoints; default: one after each epoch. */
  readonly saveEvery?: number;
  /** A checkpoint to go on from. It must be of the same model, images, classes, settings and number of processes. */
  readonly resume?: string;
  readonly workers?: LoadOptions['workers'];
  readonly corruptLimit?: number;
  /** Epochs between evaluations; the last one is always evaluated. Default 1. */
  readonly evaluateEvery?: number;
  /** This process among those that share the work, each with its part of every batch. Default 0 of 1. */
  readonly rank?: number;
  readonly worldSize?: number;
  /** Replaces gradients by their mean over all processes: the one place where several would meet. */
  readonly reduceGradients?: (gradients: Float32Array) => Promise<void>;
  readonly signal?: AbortSignal;
  readonly onStep?: (report: StepReport) => void;
  readonly onEpoch?: (report: EpochReport) => void;
  readonly onCheckpoint?: (path: string) => void;
  /** Told of damaged images: those to train with in each epoch, those to validate with once. */
  readonly onCorrupt?: (sample: CorruptSample) => void;
}

/** A network that has been trained. */
export interface TrainResult {
  /** For inference: official keys, averaged weights where averages were kept. Read before `dispose`. */
  readonly weights: Pick<WeightSource, 'read'>;
  readonly network: TrainingNetwork;
  readonly settings: CompleteSettings;
  /** Of the last epoch. */
  readonly validation: Evaluation | undefined;
  dispose(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
