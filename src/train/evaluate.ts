import type { WeightSource } from '../checkpoints/source.ts';
import { invalidArgument } from '../core/errors.ts';
import type { Dataset } from '../data/dataset.ts';
import { loadBatches } from '../data/loader.ts';
import type { LoadOptions } from '../data/loader.ts';
import { completeTransform } from '../data/transform-options.ts';
import type { TransformOptions } from '../data/transform-options.ts';
import type { Device } from '../devices/device.ts';
import { elements, selectOutputs } from '../graph/graph.ts';
import type { Graph } from '../graph/graph.ts';
import { optimize } from '../graph/passes/index.ts';
import { optimizeFor } from '../runtime/plan.ts';
import { createSession } from '../runtime/session.ts';
import type { TuningRecords } from '../runtime/tuning-file.ts';

export interface EvaluateOptions extends Pick<
  LoadOptions,
  'workers' | 'corruptLimit' | 'onCorrupt' | 'signal'
> {
  readonly transform: TransformOptions;
  /** Decides by the mean of the logits of each image and of its mirror image; default: false. */
  readonly mirror?: boolean;
  /** Measurements that the planner prefers to its estimates. */
  readonly tuning?: TuningRecords;
  readonly onProgress?: (done: number, total: number) => void;
}

/** How well a network classifies a data set. */
export interface Evaluation {
  /** Damaged ones left out. */
  readonly images: number;
  /** Share of images whose label is the first, or among the first five, of the network's. */
  readonly top1: number;
  readonly top5: number;
  /** Mean cross-entropy with the labels. */
  readonly loss: number;
  /** How often images of class row were taken for class column: [classes, classes]. */
  readonly confusion: Uint32Array;
  /** Images a second, decoding included. */
  readonly imagesPerSecond: number;
}

/**
 * Evaluates a network on all samples of a data set.
 *
 * @param graph a model's graph with the output `logits`, for batches of any size
 *
 * Throws `invalid-argument` if the transform makes images of another size than the network sees, if there are more classes than
 * outputs, and if logits are not finite; also what loading images and planning throw.
 */
export async function evaluate(
  device: Device,
  graph: Graph,
  weights: Pick<WeightSource, 'read'>,
  dataset: Dataset,
  options: EvaluateOptions,
): Promise<Evaluation> {
  const [batch, ...seen] = graph.input.shape;
  const classes = graph.outputs.get('logits')?.shape[3] ?? 0;
  if (classes < dataset.classes.length) {
    throw invalidArgument(
      `${graph.name} tells ${classes} classes apart, but ${dataset.name} has ${dataset.classes.length}.`,
    );
  }
  const { height, width, channels } = completeTransform(options.transform);
  const given = [height, width, channels];
  if (given.join() !== seen.join()) {
    throw invalidArgument(
      `The transform makes images of ${given.join(' × ')}, but ${graph.name} sees ${seen.join(' × ')}: let transform.size and transform.channels agree with that.`,
    );
  }
  const { tuning, mirror = false, onProgress, ...loading } = options;
  const planning = { ...(tuning && { tuning }) };
  const optimized = optimize(selectOutputs(graph, ['logits']), optimizeFor(device.caps, planning));
  const session = await createSession(device, optimized, weights, planning);
  try {
    const score = new Score(classes);
    const start = performance.now();
    const input = new Float32Array(elements(graph.input.shape));
    const run = async (): Promise<Float32Array> => {
      const outputs = await session.run(input, { ...(options.signal && { signal: options.signal }) });
      return outputs.get('logits') ?? new Float32Array();
    };
    let first = 0;
    for await (const { images, labels, indices, size } of loadBatches(dataset, {
      ...loading,
      reuse: true,
      batchSize: batch,
    })) {
      // The last batch may be short: what is behind it is left as it was, and not looked at.
      input.set(images);
      let logits = await run();
      if (mirror) {
        mirrorRows(input, width, channels);
        const mirrored = await run();
        logits = logits.map((value, i) => (value + (mirrored[i] ?? 0)) / 2);
      }
      // What stands in for a damaged sample counts in its own place only.
      const isOwn = (row: number): boolean => indices[row] === first + row;
      score.add(logits, labels, size, isOwn);
      first += size;
      onProgress?.(first, dataset.length);
    }
    return score.result((performance.now() - start) / 1000);
  } finally {
    await session.dispose();
  }
}

/** Exchanges left and right of images, [N, H, width, channels], in place. */
function mirrorRows(images: Float32Array, width: number, channels: number): void {
  const row = width * channels;
  for (let start = 0; start < images.length; start += row) {
    let right = start + row - channels;
    for (let left = start; left < right; left += channels, right -= channels) {
      for (let c = 0; c < channels; c++) {
        const value = images[left + c] ?? 0;
        images[left + c] = images[right + c] ?? 0;
        images[right + c] = value;
      }
    }
  }
}

/** Counts what a network got right. */
export class Score {
  images = 0;
  readonly #confusion: Uint32Array;
  #first = 0;
  #firstFive = 0;
  #loss = 0;

  constructor(readonly classes: number) {
    this.#confusion = new Uint32Array(classes * classes);
  }

  /**
   * @param logits [N, classes], of which the first `size` rows count
   * @param counts which of them do; default all
   * Throws `invalid-argument` if one of their logits is NaN or infinite.
   */
  add(
    logits: Float32Array,
    labels: Int32Array,
    size: number,
    counts: (row: number) => boolean = () => true,
  ): void {
    for (let row = 0; row < size; row++) {
      if (!counts(row)) continue;
      const values = logits.subarray(row * this.classes, (row + 1) * this.classes);
      // Comparisons with NaN are false, so that every class would seem to be the largest.
      if (!values.every(Number.isFinite)) {
        throw invalidArgument('Some logits are NaN or infinite: check the weights and the images.');
      }
      const label = labels[row] ?? 0;
      const own = values[label] ?? -Infinity;
      let before = 0;
      let largest = -Infinity;
      let best = 0;
      values.forEach((value, c) => {
        // Of equal logits the first class wins.
        if (value > own || (value === own && c < label)) before++;
        if (value > largest) {
          largest = value;
          best = c;
        }
      });
      const total = values.reduce((sum, value) => sum + Math.exp(value - largest), 0);
      this.#loss += largest + Math.log(total) - own;
      if (before === 0) this.#first++;
      if (before < 5) this.#firstFive++;
      const cell = label * this.classes + best;
      this.#confusion[cell] = (this.#confusion[cell] ?? 0) + 1;
      this.images++;
    }
  }

  result(seconds: number): Evaluation {
    const images = Math.max(this.images, 1);
    return {
      images: this.images,
      top1: this.#first / images,
      top5: this.#firstFive / images,
      loss: this.#loss / images,
      confusion: this.#confusion,
      imagesPerSecond: this.images / seconds,
    };
  }
}
