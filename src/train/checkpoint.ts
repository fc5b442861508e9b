import { openFileSink } from '../checkpoints/file-sink.ts';
import { openCheckpoint } from '../checkpoints/open.ts';
import { writeSafetensors } from '../checkpoints/safetensors-writer.ts';
import type { TensorToWrite } from '../checkpoints/safetensors-writer.ts';
import type { Checkpoint } from '../checkpoints/source.ts';
import { invalidArgument } from '../core/errors.ts';
import type { WidefieldError } from '../core/errors.ts';
import { choice, count, list, needed, number, object, text } from '../core/schema.ts';
import { elements } from '../graph/graph.ts';
import type { TrainingNetwork } from './network.ts';
import type { CompleteSettings } from './settings.ts';
import { OPTIMIZER_RULES, settingsFields, settingsSchema } from './settings-schema.ts';
import { SparsityController } from './sparsity/index.ts';
import type { SparsityRecord } from './sparsity/controller.ts';
import type { SumsRecord } from './sums.ts';
import type { State } from './update-steps.ts';

/** How far a run has come, beside the numbers in the network. Random numbers need no state: they follow from these. */
export interface Progress {
  readonly epoch: number;
  /** Batches of the epoch that are done; all of them where its evaluation is still to come. */
  readonly batch: number;
  /** Updates that are done. */
  readonly step: number;
  /** Of the epoch so far. Files of older versions lack it. */
  readonly sums?: SumsRecord;
}

/** What a checkpoint says of its run. */
export interface RunRecord {
  readonly format: 'widefield training';
  readonly version: 1;
  readonly model: string;
  /** Follows from names and shapes of all parameters: networks of one's own may share a name. */
  readonly parameters: number;
  readonly classes: readonly string[];
  /** How many there are to train with. */
  readonly images: number;
  /** The {@link fingerprint} of all images. Files of older versions lack it, and the next. */
  readonly data?: number;
  /** Processes that share the work. */
  readonly worldSize?: number;
  readonly settings: CompleteSettings;
  readonly progress: Progress;
  readonly sparsity: SparsityRecord | undefined;
}

/** States that a checkpoint holds, each under a prefix of its own. Gradients are computed anew. */
const SAVED = ['values', 'moment1', 'moment2', 'average'] as const satisfies readonly State[];
const RECORD = 'widefield.run';
const MASK = 'mask.';

/**
 * Writes everything that a run needs to go on bit for bit into one safetensors file: under a temporary name, renamed when
 * it is whole, so that a full disk leaves the file before it as it was. Throws `io` if it cannot be written.
 */
export async function saveRun(
  path: string,
  network: TrainingNetwork,
  record: RunRecord,
  sparsity: SparsityController | undefined,
): Promise<void> {
  const bytes = new Map<string, Uint8Array>([[RECORD, new TextEncoder().encode(JSON.stringify(record))]]);
  for (const [key, bits] of sparsity?.save(network.session) ?? []) bytes.set(`${MASK}${key}`, bits);
  const tensors: TensorToWrite[] = [];
  const values = new Map<string, Float32Array>();
  const put = (name: string, shape: readonly number[], data: Float32Array): void => {
    tensors.push({ key: name, shape });
    values.set(name, data);
  };
  for (const { key, shape, buffer } of network.parameters) {
    if (buffer) {
      put(`values.${key}`, shape, network.buffers.get(key) ?? new Float32Array());
      const average = network.averagedBuffers.get(key);
      if (average) put(`average.${key}`, shape, average);
      continue;
    }
    for (const state of SAVED) {
      if (network.session.state(state)) put(`${state}.${key}`, shape, network.session.stateOf(state, key));
    }
  }
  for (const [key, data] of bytes) tensors.push({ key, shape: [data.byteLength], dtype: 'uint8' });
  const read = (key: string): Promise<Float32Array | Uint8Array> =>
    Promise.resolve(values.get(key) ?? bytes.get(key) ?? new Float32Array());
  await writeSafetensors(tensors, read, await openFileSink(path));
}

/** A run that was saved, to be gone on with. */
export interface SavedRun {
  readonly record: RunRecord;
  /** Writes its state into a network of the same shape, and gives its sparsity back. */
  restore(network: TrainingNetwork): Promise<SparsityController | undefined>;
  close(): Promise<void>;
}

/** Opens a file of {@link saveRun}. Throws `invalid-argument` for any other file, `io` if it cannot be read. */
export async function openRun(path: string): Promise<SavedRun> {
  const file = await openCheckpoint(path);
  try {
    const record = await readRecord(path, file);
    return { record, restore: (network) => restore(path, file, record, network), close: () => file.close() };
  } catch (error) {
    await file.close();
    throw error;
  }
}

const recordSchema = object('', {
  format: needed(choice('', ['widefield training'])),
  version: needed(choice('', [1])),
  model: needed(text('')),
  parameters: needed(number('')),
  classes: needed(list('', text(''))),
  images: needed(count('')),
  data: count('', 0),
  worldSize: count(''),
  settings: needed(settingsSchema),
  progress: needed(
    object('', {
      epoch: needed(count('', 0)),
      batch: needed(count('', 0)),
      step: needed(count('', 0)),
      sums: object('', {
        loss: needed(number('')),
        correct: needed(count('', 0)),
        images: needed(count('', 0)),
      }),
    }),
  ),
  sparsity: object('', {
    options: needed(settingsFields.sparsity),
    run: needed(
      object('', {
        seed: needed(count('', 0)),
        steps: needed(count('')),
        rule: needed(choice('', OPTIMIZER_RULES)),
      }),
    ),
    dense: needed(list('', text(''), { least: 0 })),
  }),
});

async function readRecord(path: string, file: Checkpoint): Promise<RunRecord> {
  const refuse = (reason: string): WidefieldError =>
    invalidArgument(`${path} is no checkpoint of a training run: ${reason}`);
  if (!file.entries.has(RECORD) || file.readBytes === undefined) {
    throw refuse('give a file that widefield train wrote.');
  }
  const bytes = await file.readBytes(RECORD);
  try {
    const raw: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    const { settings: _, sparsity, ...record } = recordSchema.read(raw, '');
    // As they were written, not as they would be now: they are compared as texts.
    const { settings } = raw as Pick<RunRecord, 'settings'>;
    return { ...record, settings, sparsity };
  } catch (error) {
    throw refuse(error instanceof Error ? error.message : String(error));
  }
}

async function restore(
  path: string,
  file: Checkpoint,
  record: RunRecord,
  network: TrainingNetwork,
): Promise<SparsityController | undefined> {
  const read = async (name: string, target: Float32Array): Promise<void> => {
    const values = await file.read(name);
    if (values.length !== target.length) {
      throw invalidArgument(
        `${path} has ${values.length} values of ${name}, but the network has ${target.length}.`,
      );
    }
    target.set(values);
  };
  for (const { key, shape, buffer } of network.parameters) {
    if (buffer) {
      await read(`values.${key}`, network.buffers.get(key) ?? new Float32Array(elements(shape)));
      const average = network.averagedBuffers.get(key);
      if (average) await read(`average.${key}`, average);
      continue;
    }
    for (const state of SAVED) {
      if (network.session.state(state)) await read(`${state}.${key}`, network.session.stateOf(state, key));
    }
  }
  if (record.sparsity === undefined) return undefined;
  const controller = SparsityController.restore(record.sparsity);
  const masks = new Map<string, Uint8Array>();
  for (const name of file.entries.keys()) {
    if (name.startsWith(MASK) && file.readBytes)
      masks.set(name.slice(MASK.length), await file.readBytes(name));
  }
  controller.load(masks, network.session);
  return controller;
}

/** What two runs do not have in common, a phrase each: `epochs 10, not 20`. Empty if one can go on where the other stopped. */
export function differences(saved: RunRecord, wanted: Omit<RunRecord, 'progress' | 'sparsity'>): string[] {
  const found: string[] = [];
  if (saved.model !== wanted.model) found.push(`model ${saved.model}, not ${wanted.model}`);
  else if (saved.parameters !== wanted.parameters) found.push(`another network of the name ${saved.model}`);
  if (saved.images !== wanted.images) found.push(`${saved.images} training images, not ${wanted.images}`);
  else if (saved.data !== undefined && saved.data !== wanted.data)
    found.push('other images, or in another order');
  if (saved.worldSize !== undefined && saved.worldSize !== wanted.worldSize) {
    found.push(`worldSize ${saved.worldSize}, not ${wanted.worldSize}`);
  }
  if (saved.classes.join('\n') !== wanted.classes.join('\n')) {
    found.push(`${saved.classes.length} classes, not the same ${wanted.classes.length}`);
  }
  const names = new Set([...Object.keys(saved.settings), ...Object.keys(wanted.settings)]);
  for (const name of names as Set<keyof CompleteSettings>) {
    const before = JSON.stringify(saved.settings[name]);
    const now = JSON.stringify(wanted.settings[name]);
    if (before !== now) found.push(`${name} ${before ?? 'none'}, not ${now ?? 'none'}`);
  }
  return found;
}
