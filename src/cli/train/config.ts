import { invalidArgument } from '../../core/errors.ts';
import {
  choice,
  count,
  either,
  flag,
  list,
  needed,
  number,
  object,
  text,
  withDefault,
} from '../../core/schema.ts';
import type { Fields, ReadFields, Schema } from '../../core/schema.ts';
import { modelSchema } from '../../runtime/model-file.ts';
import { DEVICE_NAMES } from '../../runtime/open.ts';
import { settingsFields } from '../../train/settings-schema.ts';
import { defaultThreads } from '../options.ts';

/** What decides between runs beside the settings: a run is gone on with only if these are the same. */
const subject = {
  model: needed(modelSchema),
  data: needed(
    text('images: a folder of classes, tar shards, Parquet, CIFAR or IDX files; or fashion-mnist'),
  ),
  split: text('the part to train with; default: train, or all'),
  limit: count('train with so many images, chosen at random; default: all', 2),
  validation: withDefault(
    object('images that are held back', {
      data: text('where they are; default: where the others are'),
      split: text('which part; default: val or test, where there is one; of another place else all'),
      share: number(
        'share of the training images in place of that part, unless data or split names one; 0: none; default 0.1 if there is no such part',
        { least: 0, below: 1 },
      ),
    }),
    {},
  ),
  weights: text('a checkpoint to start from'),
  teacher: object('a trained network whose judgement is learned too, or several', {
    model: needed(
      either(
        'the network: a name, a model.json or sizes; a list for several, whose logits are averaged',
        modelSchema,
        list('networks', modelSchema),
      ),
    ),
    weights: needed(
      either(
        'its checkpoint; a list for several',
        text('a checkpoint'),
        list('checkpoints', text('a checkpoint')),
      ),
    ),
  }),
} satisfies Fields;

/** How and where a run takes place. */
const place = {
  folder: text('where everything is written; default: runs/ and the name of the model'),
  saveEvery: count('updates between checkpoints; default: one after each epoch'),
  evaluateEvery: withDefault(count('epochs between evaluations'), 1),
  logEvery: withDefault(count('updates between lines of the log'), 10),
  corruptLimit: withDefault(count('give up beyond so many damaged images', 0), 10),
  half: withDefault(
    flag('write model.safetensors in float16, but for tensors whose values do not fit'),
    false,
  ),
  plot: text('draw learning curves: .svg or .png, anew after each epoch'),
  device: withDefault(choice('where to run', DEVICE_NAMES), 'auto'),
} satisfies Fields;

/** The number of threads depends on the machine. */
function threading() {
  return {
    threads: withDefault(count('threads that compute', 1, 64), defaultThreads()),
    workers: withDefault(count('threads that prepare images', 0, 64), Math.min(4, defaultThreads())),
  } satisfies Fields;
}

function configFields() {
  return { ...subject, ...settingsFields, ...place, ...threading() } satisfies Fields;
}

/** Everything that `widefield train` can be told, as one table: checks, defaults, help, flags and JSON Schema. */
export function configSchema(): Schema<TrainConfig> {
  return object('a training run of Widefield', configFields());
}

export type TrainConfig = ReadFields<ReturnType<typeof configFields>>;

/** A config before it is checked. */
export type RawConfig = Readonly<Record<string, unknown>>;

/** Checks a config and fills defaults in. Throws `invalid-argument`, with the name of the file if one is given. */
export function readConfig(raw: unknown, file?: string): TrainConfig {
  try {
    return configSchema().read(raw, '');
  } catch (error) {
    if (file === undefined || !(error instanceof Error)) throw error;
    throw invalidArgument(`${file}: ${error.message}`);
  }
}

/** With null where nothing is set, so that a printed config shows everything there is. */
export function withNulls(config: TrainConfig): RawConfig {
  return Object.fromEntries(
    Object.keys(configFields()).map((name) => [name, (config as RawConfig)[name] ?? null]),
  );
}

/** What two runs are about that differs, a phrase each. */
export function subjectDifferences(saved: TrainConfig, wanted: TrainConfig): string[] {
  return Object.keys(subject).flatMap((name) =>
    differing(name, (saved as RawConfig)[name], (wanted as RawConfig)[name]),
  );
}

function differing(path: string, before: unknown, now: unknown): string[] {
  if (JSON.stringify(before) === JSON.stringify(now)) return [];
  if (!isRecord(before) || !isRecord(now)) {
    return [`${path} ${JSON.stringify(before) ?? 'none'}, not ${JSON.stringify(now) ?? 'none'}`];
  }
  const names = new Set([...Object.keys(before), ...Object.keys(now)]);
  return [...names].flatMap((name) => differing(`${path}.${name}`, before[name], now[name]));
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
