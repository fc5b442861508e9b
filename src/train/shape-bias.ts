import { ahead } from '../core/ahead.ts';
import { concatenate } from '../core/concatenate.ts';
import { invalidArgument, throwIfAborted } from '../core/errors.ts';
import type { Model } from '../runtime/model.ts';
import { CATEGORIES, classesOf } from './cue-conflict.ts';
import type { Category, Cues } from './cue-conflict.ts';

/** An image whose shape and texture disagree. */
export interface Stimulus extends Cues {
  readonly file: string;
}

/** What a network takes a stimulus for. */
export interface Decision extends Stimulus {
  readonly decision: Category;
}

/** How often a network went by shape, and how often by texture. */
export interface BiasCounts {
  readonly images: number;
  readonly shape: number;
  readonly texture: number;
  /** shape / (shape + texture); undefined if it went by neither. */
  readonly shapeBias: number | undefined;
}

export interface ShapeBias extends BiasCounts {
  /** Share of images whose decision is one of their two cues. */
  readonly accuracy: number;
  /** Of the images whose shape is each category, in alphabetical order; categories without images are left out. */
  readonly categories: ReadonlyMap<Category, BiasCounts>;
}

/** What is needed of a network: logits of ImageNet's 1000 classes. */
export type CategoryModel = Pick<Model, 'run' | 'prepareImage' | 'inputShape' | 'classes'>;

export interface DecideOptions {
  readonly signal?: AbortSignal;
  /** Told of images that cannot be read; without it, the first one ends the run. */
  readonly onDamaged?: (error: Error) => void;
  readonly onProgress?: (done: number, total: number) => void;
}

const CLASSES = 1000;

/**
 * The category of the highest mean probability over its ImageNet classes; of equal ones the first by name.
 *
 * @param logits [1000]
 * Throws `invalid-argument` for other numbers of classes, and logits that are not finite.
 */
export function categoryOf(logits: Float32Array): Category {
  if (logits.length !== CLASSES) {
    throw invalidArgument(
      `Categories are groups of ImageNet's ${CLASSES} classes, but the network has ${logits.length}.`,
    );
  }
  const largest = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  if (!logits.every(Number.isFinite)) {
    throw invalidArgument('Some logits are NaN or infinite: check the weights and the input.');
  }
  // The sum of all exponentials, which would make them probabilities, is the same for all categories.
  const means = CATEGORIES.map((category) => {
    const indices = classesOf(category);
    const sum = indices.reduce((total, index) => total + Math.exp((logits[index] ?? 0) - largest), 0);
    return { category, mean: sum / indices.length };
  });
  return means.reduce((best, each) => (each.mean > best.mean ? each : best)).category;
}

/** Decides on all stimuli, which are decoded ahead and run in the model's batches. Throws what decoding and running throw. */
export async function decide(
  model: CategoryModel,
  stimuli: readonly Stimulus[],
  { signal, onDamaged, onProgress }: DecideOptions = {},
): Promise<readonly Decision[]> {
  if (model.classes !== CLASSES) {
    throw invalidArgument(
      `Shape bias is measured by ImageNet's ${CLASSES} classes, but the network has ${model.classes}.`,
    );
  }
  const [batch] = model.inputShape;
  const run = signal && { signal };
  const decisions: Decision[] = [];
  let waiting: { readonly stimulus: Stimulus; readonly values: Float32Array }[] = [];
  let done = 0;
  const runBatch = async (): Promise<void> => {
    const some = waiting;
    waiting = [];
    if (some.length === 0) return;
    const logits = await model.run(concatenate(some.map(({ values }) => values)), run);
    some.forEach(({ stimulus }, i) => {
      const decision = categoryOf(logits.subarray(i * CLASSES, (i + 1) * CLASSES));
      decisions.push({ ...stimulus, decision });
    });
    onProgress?.((done += some.length), stimuli.length);
  };
  const prepare = ({ file }: Stimulus): Promise<Float32Array> => model.prepareImage(file, run);
  for await (const { item, value, error } of ahead(stimuli, 2 * batch, prepare)) {
    throwIfAborted(signal);
    if (value !== undefined) waiting.push({ stimulus: item, values: value });
    else if (onDamaged === undefined) throw error;
    else {
      onDamaged(error);
      onProgress?.(++done, stimuli.length);
    }
    if (waiting.length === batch) await runBatch();
  }
  await runBatch();
  return decisions;
}

/**
 * Shape bias (Geirhos et al. 2019, "ImageNet-trained CNNs are biased towards texture"): of the decisions for the shape or
 * the texture of an image, the share of those for its shape. Images whose cues agree do not count.
 */
export function shapeBias(decisions: readonly Decision[]): ShapeBias {
  const conflicts = decisions.filter(({ shape, texture }) => shape !== texture);
  const all = count(conflicts);
  const categories = CATEGORIES.map((category) => {
    return [category, count(conflicts.filter(({ shape }) => shape === category))] as const;
  });
  return {
    ...all,
    accuracy: (all.shape + all.texture) / Math.max(all.images, 1),
    categories: new Map(categories.filter(([, { images }]) => images > 0)),
  };
}

function count(decisions: readonly Decision[]): BiasCounts {
  const shape = decisions.filter((each) => each.decision === each.shape).length;
  const texture = decisions.filter((each) => each.decision === each.texture).length;
  const cued = shape + texture;
  return { images: decisions.length, shape, texture, shapeBias: cued > 0 ? shape / cued : undefined };
}
