import type { WeightSource } from '../../checkpoints/source.ts';
import { invalidArgument } from '../../core/errors.ts';
import { firstDifference } from '../../data/match-classes.ts';
import type { CompleteTransform } from '../../data/transform-options.ts';
import type { Device } from '../../devices/device.ts';
import { parametersOf, selectOutputs } from '../../graph/graph.ts';
import { optimize } from '../../graph/passes/index.ts';
import type { ModelVariant } from '../../models/model.ts';
import type { OwnModel } from '../../models/own.ts';
import { fitModel } from '../../runtime/fit.ts';
import { hasTransform, transformFor } from '../../runtime/image/presets.ts';
import { buildModelOf } from '../../runtime/model-file.ts';
import { optimizeFor } from '../../runtime/plan.ts';
import { createSession } from '../../runtime/session.ts';
import { openWeights } from '../../runtime/weights.ts';
import { initialValues } from '../../train/initialise.ts';
import type { InitialOptions } from '../../train/initialise.ts';
import { ensemble } from '../../train/teacher.ts';
import type { Teacher } from '../../train/teacher.ts';
import type { CommandContext } from '../context.ts';
import { modelOf } from '../model-file.ts';
import { withDownloadBar } from '../progress.ts';
import type { TrainConfig } from './config.ts';

/** A file of weights that is open. */
export interface StartingWeights extends Pick<WeightSource, 'read'> {
  close(): Promise<void>;
}

/**
 * Weights to start from, under official keys. A classifier for another number of classes starts anew, which is said.
 *
 * Throws `invalid-argument` if anything else does not fit, or if branches are merged, which cannot be trained.
 */
export async function openStartingWeights(
  file: string,
  variant: ModelVariant,
  classes: number,
  initial: InitialOptions,
  { signal, warn }: CommandContext,
): Promise<StartingWeights> {
  const source = await withDownloadBar((onProgress) =>
    openWeights(file, { signal, onWarning: warn, onProgress }),
  );
  if (source === undefined) throw invalidArgument('Synthetic weights are no start: leave weights out.');
  try {
    const fitted = fitModel(variant, source);
    const own = selectOutputs(variant.build({ classes }), ['logits']);
    const theirs = parametersOf(selectOutputs(fitted.graph, ['logits']));
    if (fitted.merged) {
      throw invalidArgument(
        `${file} holds merged kernels, which cannot be trained: give the checkpoint before.`,
      );
    }
    // The same network under another project's names has its parameters in the same order.
    const pairs = parametersOf(own).map((parameter, i) => ({
      parameter,
      key: theirs[i]?.key ?? '',
      shape: theirs[i]?.shape ?? [],
    }));
    const anew = pairs.filter(({ parameter, shape }) => parameter.shape.join() !== shape.join());
    if (anew.length > 0) {
      const keys = anew.map(({ parameter }) => parameter.key).join(' and ');
      warn(`${file} tells other classes apart: ${keys} start anew.`);
    }
    const byKey = new Map(pairs.map((pair) => [pair.parameter.key, pair]));
    return {
      read(key) {
        const pair = byKey.get(key);
        if (pair === undefined) throw invalidArgument(`${file} has no ${key}.`);
        // Counters of batches may be missing; they play no part.
        const isNew = anew.includes(pair) || !source.entries.has(pair.key);
        return isNew
          ? Promise.resolve(initialValues(pair.parameter, initial))
          : fitted.weights.read(pair.key);
      },
      close: () => source.close(),
    };
  } catch (error) {
    await source.close();
    throw error;
  }
}

/** A teacher on the same device. */
export interface OpenTeacher extends Teacher {
  dispose(): Promise<void>;
}

/** What a teacher is asked. */
export interface TeacherInput {
  readonly batch: number;
  readonly resolution: number;
  /** Of the images. */
  readonly classes: readonly string[];
  /** What the images went through. */
  readonly transform: Pick<CompleteTransform, 'mean' | 'std'>;
}

/**
 * Loads trained networks; several judge together. One model may stand for several checkpoints.
 * Throws `invalid-argument` if models and checkpoints are not equally many, or one tells other classes apart.
 */
export async function openTeacher(
  { model, weights }: NonNullable<TrainConfig['teacher']>,
  device: Device,
  input: TeacherInput,
  context: CommandContext,
): Promise<OpenTeacher> {
  const models = listOf(model);
  const files = listOf(weights);
  if (models.length > 1 && models.length !== files.length) {
    throw invalidArgument(
      `teacher.model and teacher.weights must be equally many; they are ${models.length} and ${files.length}.`,
    );
  }
  const teachers: OpenTeacher[] = [];
  const dispose = async (): Promise<void> => {
    for (const teacher of teachers) await teacher.dispose();
  };
  try {
    for (const [i, file] of files.entries()) {
      const own = models[i] ?? models[0];
      if (own !== undefined) teachers.push(await openOneTeacher(own, file, device, input, context));
    }
  } catch (error) {
    await dispose();
    throw error;
  }
  return { ...ensemble(teachers), dispose };
}

function listOf<T>(value: T | readonly T[]): readonly T[] {
  const isList = (one: T | readonly T[]): one is readonly T[] => Array.isArray(one);
  return isList(value) ? value : [value];
}

async function openOneTeacher(
  model: string | OwnModel,
  file: string,
  device: Device,
  { batch, resolution, classes, transform }: TeacherInput,
  { signal, warn }: CommandContext,
): Promise<OpenTeacher> {
  const variant = typeof model === 'string' ? modelOf(model) : buildModelOf(model);
  const source = await withDownloadBar((onProgress) =>
    openWeights(file, { signal, onWarning: warn, onProgress }),
  );
  try {
    const fitted = fitModel(variant, source, { batch, resolution });
    const theirs = fitted.graph.outputs.get('logits')?.shape[3] ?? 0;
    if (theirs !== classes.length) {
      throw invalidArgument(
        `The teacher ${file} tells ${theirs} classes apart, but the images have ${classes.length}.`,
      );
    }
    const known = hasTransform(variant.name) ? transformFor(variant.name, resolution) : transform;
    const { labels = classes, photos = known } = variant;
    const place = firstDifference(labels, classes);
    if (place !== undefined) {
      throw invalidArgument(
        `The teacher ${file} calls class ${place} ${labels[place]}, but the images call it ${classes[place]}: both must have the same classes in the same order.`,
      );
    }
    if (photos.mean.join() !== transform.mean.join() || photos.std.join() !== transform.std.join()) {
      warn(
        `The teacher ${file} has learned with another mean and deviation: give --transform-mean ${photos.mean.join()} --transform-std ${photos.std.join()}.`,
      );
    }
    const graph = optimize(selectOutputs(fitted.graph, ['logits']), optimizeFor(device.caps, {}));
    const session = await createSession(device, graph, fitted.weights, { signal });
    return {
      run: async (images) => (await session.run(images)).get('logits') ?? new Float32Array(),
      dispose: () => session.dispose(),
    };
  } finally {
    await source?.close();
  }
}
