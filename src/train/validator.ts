import { throwIfAborted } from '../core/errors.ts';
import type { Batch } from '../data/dataset.ts';
import { loadBatches } from '../data/loader.ts';
import type { TransformOptions } from '../data/transform-options.ts';
import type { Graph } from '../graph/graph.ts';
import { evaluate } from './evaluate.ts';
import type { EvaluateOptions, Evaluation } from './evaluate.ts';
import type { TrainingNetwork } from './network.ts';
import type { TrainData, TrainOptions } from './options.ts';
import { reestimateStatistics } from './reestimate.ts';
import type { CompleteSettings } from './settings.ts';

/** Evaluates what a run has learned on its validation images, if it has any. */
export class Validator {
  /** Validation images that have been told to be damaged: every evaluation meets them again. */
  readonly #damaged = new Set<number>();

  constructor(
    readonly graph: Graph,
    readonly data: TrainData,
    readonly options: TrainOptions,
    readonly settings: CompleteSettings,
  ) {}

  /** What comes after the last update: statistics anew, if the settings say so, and an evaluation. */
  async finish(network: TrainingNetwork): Promise<Evaluation | undefined> {
    const kept = keptWeights(this.settings);
    const weights = network.weights(kept);
    const buffers = kept === 'average' ? network.averagedBuffers : network.buffers;
    if (this.settings.reestimate) {
      for (const [key, values] of await this.#statistics(weights)) buffers.get(key)?.set(values);
    }
    return this.#evaluate(weights);
  }

  /** An evaluation on the way, with statistics of as many images as it takes. */
  async validate(network: TrainingNetwork): Promise<Evaluation | undefined> {
    const weights = network.weights(keptWeights(this.settings));
    const { validation } = this.data;
    if (!validation || !this.settings.reestimate) return this.#evaluate(weights);
    const statistics = await this.#statistics(weights, validation.length);
    return this.#evaluate({ read: async (key) => statistics.get(key) ?? (await weights.read(key)) });
  }

  #statistics(weights: Weights, images = Infinity): Promise<ReadonlyMap<string, Float32Array>> {
    return reestimateStatistics(this.options.device, this.graph, weights, this.#plainBatches(images));
  }

  /** The training images as they are evaluated, in full batches, so many of them at least. */
  async *#plainBatches(images: number): AsyncGenerator<Batch, void, void> {
    const { options, settings } = this;
    const batches = loadBatches(this.data.training, {
      ...this.#loading(),
      batchSize: settings.batchSize,
      shuffle: true,
      dropLast: true,
      reuse: true,
      seed: settings.seed,
    });
    let seen = 0;
    for await (const batch of batches) {
      throwIfAborted(options.signal);
      yield batch;
      if ((seen += batch.labels.length) >= images) break;
    }
  }

  async #evaluate(weights: Weights): Promise<Evaluation | undefined> {
    const { options } = this;
    const { validation } = this.data;
    if (!validation) return undefined;
    return evaluate(options.device, this.graph, weights, validation, {
      ...this.#loading(),
      ...(options.signal && { signal: options.signal }),
      onCorrupt: (sample) => {
        if (this.#damaged.has(sample.index)) return;
        this.#damaged.add(sample.index);
        options.onCorrupt?.(sample);
      },
    });
  }

  #loading(): Pick<EvaluateOptions, 'transform' | 'workers' | 'corruptLimit'> {
    const { workers, corruptLimit } = this.options;
    return {
      transform: transformOf(this.settings.evaluation, this.settings.resolution),
      ...(workers !== undefined && { workers }),
      ...(corruptLimit !== undefined && { corruptLimit }),
    };
  }
}

type Weights = ReturnType<TrainingNetwork['weights']>;

/** Which weights are evaluated and kept. */
export function keptWeights({ averageDecay }: CompleteSettings): 'values' | 'average' {
  return averageDecay === undefined ? 'values' : 'average';
}

/** Options of a transform to images of `resolution` × `resolution` pixels. */
export function transformOf(transform: Partial<TransformOptions>, resolution: number): TransformOptions {
  return { ...transform, size: resolution };
}
