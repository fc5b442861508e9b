import { ahead } from '../core/ahead.ts';
import { WidefieldError, invalidArgument, throwIfAborted } from '../core/errors.ts';
import { createAugmentation } from './augmentation.ts';
import type { Augmentation } from './augmentation.ts';
import type { Batch, Dataset } from './dataset.ts';
import { sampleOrder, shardOrder } from './order.ts';
import { prepareBatch } from './prepare.ts';
import type { PreparedBatch, ReadResult } from './prepare.ts';
import type { TransformOptions } from './transform-options.ts';
import { openDataWorkers } from './workers.ts';
import type { DataWorkers } from './workers.ts';

/** How many samples of a batch are read at the same time. */
const READS_AT_ONCE = 8;
/** Batches hold memory, and each that is under way holds {@link READS_AT_ONCE} open files. */
const MAX_PREFETCH = 64;

/** A sample that was replaced by another one. */
export interface CorruptSample {
  readonly index: number;
  /** One sentence that names the file. */
  readonly error: string;
}

export interface LoadOptions {
  readonly batchSize: number;
  readonly transform: TransformOptions;
  /** Default: false, in the order of the dataset. */
  readonly shuffle?: boolean;
  /** 32 bits; with `epoch` it determines order and augmentation. Default 0. */
  readonly seed?: number;
  readonly epoch?: number;
  /** Leaves out the last batch if it is not full. Default: false. */
  readonly dropLast?: boolean;
  /** The batch to begin with, from 0: to resume within an epoch. */
  readonly start?: number;
  /** Which of `worldSize` processes this is, each of which gets its own part of every batch. Default: 0 of 1. */
  readonly rank?: number;
  readonly worldSize?: number;
  /** Threads that decode and augment; 0: this one (the default). Or threads that are open already, and stay so. */
  readonly workers?: number | DataWorkers;
  /** Batches to be prepared before they are asked for, at most 64; default 4. */
  readonly prefetch?: number;
  /** How many samples may be damaged; each is replaced by the next one. Default 10. */
  readonly corruptLimit?: number;
  /**
   * The images of a batch are there until the next one is asked for, which may lie in the same memory: fresh memory costs
   * as much time as a tenth of decoding. Default: false, they stay.
   */
  readonly reuse?: boolean;
  /** Told of each damaged sample, once, in the order of the batches. */
  readonly onCorrupt?: (sample: CorruptSample) => void;
  readonly signal?: AbortSignal;
}

/** How many batches an epoch has, from the first one. */
export function countBatches(
  samples: number,
  options: Pick<LoadOptions, 'batchSize' | 'dropLast' | 'worldSize'>,
): number {
  const { batchSize, dropLast = false, worldSize = 1 } = options;
  const round = dropLast ? Math.floor : Math.ceil;
  return round(round(samples / worldSize) / batchSize);
}

/**
 * One epoch of a dataset as batches, prepared ahead of their use.
 *
 * Which samples are in a batch, and what they look like, depends on the dataset, seed and epoch, and for its part on batch
 * size, rank and world size; neither on the number of workers nor on time.
 *
 * Throws `invalid-argument` for options that make no sense and for more damaged samples than `corruptLimit`,
 * `io` if a file cannot be read at all, which other samples do not stand in for, `device-lost` if a worker thread died, and
 * `aborted`.
 */
export async function* loadBatches(
  dataset: Dataset,
  options: LoadOptions,
): AsyncGenerator<Batch, void, void> {
  checkOptions(dataset, options);
  const { signal, workers = 0, prefetch = 4, start = 0, seed = 0, epoch = 0, reuse = false } = options;
  const augmentation = createAugmentation(options.transform);
  const own = typeof workers === 'number' && workers > 0 ? await openDataWorkers(workers) : undefined;
  const pool = typeof workers === 'number' ? own : workers;
  const stop = new AbortController();
  const all = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;
  const order = epochOrder(dataset, options);
  const repairs = createRepairs(dataset, order, augmentation, options);
  const spare: ArrayBuffer[] = [];
  const prepare = async (batch: number): Promise<PreparedBatch> => {
    const indices = batchIndices(order, batch, options.batchSize);
    const samples = await readSamples(dataset, indices, all);
    const settings = { memory: spare.pop(), signal: all };
    return pool
      ? pool.prepare(samples, options.transform, { seed, epoch }, settings)
      : prepareBatch(samples, augmentation, { seed, epoch }, settings);
  };
  try {
    const count = countBatches(dataset.length, options);
    const numbers = Array.from({ length: Math.max(0, count - start) }, (_, i) => start + i);
    for await (const { item, value, error } of ahead(
      numbers,
      Math.max(prefetch, pool?.count ?? 0),
      prepare,
    )) {
      throwIfAborted(signal);
      if (value === undefined) throw error;
      yield await repairs.complete(value, item);
      if (reuse) spare.push(value.images.buffer);
    }
  } finally {
    stop.abort();
    await own?.close();
  }
}

function epochOrder(dataset: Dataset, options: LoadOptions): Uint32Array {
  const { shuffle = false, seed = 0, epoch = 0, rank = 0, worldSize = 1, dropLast = false } = options;
  return shardOrder(sampleOrder(dataset, shuffle, seed, epoch), rank, worldSize, dropLast);
}

function batchIndices(order: Uint32Array, batch: number, batchSize: number): Uint32Array {
  return order.subarray(batch * batchSize, (batch + 1) * batchSize);
}

/** The samples of a batch, a few at a time: every one may take an open file, and of those there are not many. */
async function readSamples(
  dataset: Dataset,
  indices: Uint32Array,
  signal: AbortSignal,
): Promise<ReadResult[]> {
  const results: ReadResult[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    for (let i = next++; i < indices.length; i = next++) {
      throwIfAborted(signal);
      results[i] = await readSample(dataset, indices[i] ?? 0, signal);
    }
  };
  await Promise.all(Array.from({ length: READS_AT_ONCE }, work));
  return results;
}

async function readSample(dataset: Dataset, index: number, signal: AbortSignal): Promise<ReadResult> {
  try {
    return { index, sample: await dataset.read(index, { signal }) };
  } catch (error) {
    throwIfAborted(signal);
    // A disk that is gone, or too many open files: nothing about this one sample.
    if (error instanceof WidefieldError && error.code === 'io') throw error;
    return { index, error: error instanceof Error ? error.message : String(error) };
  }
}

/** Puts other samples in the place of damaged ones, and counts those. */
function createRepairs(
  dataset: Dataset,
  order: Uint32Array,
  augmentation: Augmentation,
  options: LoadOptions,
): { complete(prepared: PreparedBatch, batch: number): Promise<Batch> } {
  const { batchSize, seed = 0, epoch = 0, corruptLimit = 10, onCorrupt, signal } = options;
  const damaged = new Map<number, string>();
  const note = (index: number, error: string): void => {
    if (damaged.has(index)) return;
    damaged.set(index, error);
    onCorrupt?.({ index, error });
    if (damaged.size <= corruptLimit) return;
    const errors = [...damaged.values()];
    const more = errors.length > 10 ? ` (and ${errors.length - 10} more)` : '';
    throw invalidArgument(
      `${damaged.size} samples are damaged, more than the limit of ${corruptLimit}: ${errors.slice(0, 10).join(' ')}${more}`,
    );
  };
  /** The first good sample behind a position of the order, which goes on with its beginning. */
  const findNext = async (position: number): Promise<{ images: Float32Array; index: number }> => {
    for (let i = 1; i < order.length; i++) {
      throwIfAborted(signal);
      const index = order[(position + i) % order.length] ?? 0;
      if (damaged.has(index)) continue;
      const result = await readSample(dataset, index, signal ?? new AbortController().signal);
      const { images, failures } = await prepareBatch([result], augmentation, { seed, epoch }, { signal });
      if (failures[0] === undefined) return { images, index };
      note(index, failures[0].error);
    }
    throw invalidArgument(`No sample of ${dataset.name} can be decoded: ${[...damaged.values()][0] ?? ''}`);
  };
  return {
    async complete({ images, failures }, batch) {
      const indices = Int32Array.from(batchIndices(order, batch, batchSize));
      for (const { index, error } of failures) note(index, error);
      for (const { position } of failures) {
        const replacement = await findNext(batch * batchSize + position);
        images.set(replacement.images, position * replacement.images.length);
        indices[position] = replacement.index;
      }
      const labels = indices.map((index) => dataset.labelOf(index));
      return { images, labels, indices, size: indices.length };
    },
  };
}

function checkOptions(dataset: Dataset, options: LoadOptions): void {
  const {
    batchSize,
    start = 0,
    rank = 0,
    worldSize = 1,
    prefetch = 4,
    corruptLimit = 10,
    workers = 0,
  } = options;
  checkWhole('batchSize', batchSize, 1);
  checkWhole('start', start, 0);
  checkWhole('worldSize', worldSize, 1);
  checkWhole('rank', rank, 0);
  checkWhole('prefetch', prefetch, 0, MAX_PREFETCH);
  checkWhole('seed', options.seed ?? 0, 0, 2 ** 32 - 1);
  checkWhole('epoch', options.epoch ?? 0, 0, 2 ** 32 - 1);
  if (corruptLimit !== Infinity) checkWhole('corruptLimit', corruptLimit, 0);
  if (typeof workers === 'number') checkWhole('workers', workers, 0, MAX_PREFETCH);
  if (rank >= worldSize)
    throw invalidArgument(`There is no rank ${rank} among ${worldSize}: ranks count from 0.`);
  if (dataset.length === 0) {
    throw new WidefieldError('invalid-argument', `${dataset.name} has no samples: there is nothing to load.`);
  }
}

function checkWhole(name: string, value: number, least: number, most = Number.MAX_SAFE_INTEGER): void {
  if (!(Number.isSafeInteger(value) && value >= least && value <= most)) {
    const limit = most === Number.MAX_SAFE_INTEGER ? `at least ${least}` : `from ${least} to ${most}`;
    throw invalidArgument(`${name} must be a whole number, ${limit}, not ${value}.`);
  }
}
