import { availableParallelism } from 'node:os';

import { InvalidArgumentError } from 'commander';

import type { KernelSize, MapShape } from '../bench/case.ts';
import { PEER_NAMES } from '../bench/peers/index.ts';
import type { PeerName } from '../bench/peers/index.ts';
import type { WidefieldDevice } from '../bench/widefield.ts';
import { findModel } from '../models/zoo.ts';
import { PACKAGED_MODEL } from '../runtime/packaged-model.ts';
import { isModelFile } from './model-file.ts';

/** Larger numbers on the command line are mistakes. */
const MAX_EXTENT = 2 ** 24;
const MAX_THREADS = 64;
const MAX_SECONDS = 3600;
const MAX_BATCH = 4096;
const MAX_RESOLUTION = 2 ** 14;

/** `56` → 56. Commander puts the option's name before these messages. */
export function parseCount(text: string, max = MAX_EXTENT, least = 1): number {
  const value = Number(text);
  if (!/^\d+$/.test(text.trim()) || value < least || value > max) {
    throw new InvalidArgumentError(`Use a whole number from ${least} to ${max}.`);
  }
  return value;
}

export function parseThreads(text: string): number {
  return parseCount(text, MAX_THREADS);
}

export function defaultThreads(): number {
  return Math.min(MAX_THREADS, availableParallelism());
}

export function parseBatch(text: string): number {
  return parseCount(text, MAX_BATCH);
}

/** Pixels of a square, or height and width. */
export type Resolution = number | readonly [height: number, width: number];

/** `224`, or `192x256` for height x width. */
export function parseResolution(text: string): Resolution {
  const [height, width, ...rest] = text.split('x').map((part) => parseCount(part, MAX_RESOLUTION));
  if (height === undefined || rest.length > 0) {
    throw new InvalidArgumentError('Use pixels such as 224, or height x width such as 192x256.');
  }
  return width === undefined || width === height ? height : [height, width];
}

/** A name of the zoo, or the `model.json` of a network that was trained; other names are answered with the nearest ones. */
export function parseModel(text: string): string {
  if (isModelFile(text) || text === PACKAGED_MODEL) return text;
  try {
    return findModel(text).name;
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error));
  }
}

export function parseSeconds(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value > 0 && value <= MAX_SECONDS)) {
    throw new InvalidArgumentError(`Use a number of seconds above 0, at most ${MAX_SECONDS}.`);
  }
  return value;
}

/** `1,56,56,128;1,28,28,256`, and the option may be repeated. */
export function parseMapShapes(text: string, previous: readonly MapShape[] = []): MapShape[] {
  const shapes = splitList(text, ';').map((item): MapShape => {
    const [batch, height, width, channels, ...rest] = splitList(item, ',').map((part) => parseCount(part));
    if (
      batch === undefined ||
      height === undefined ||
      width === undefined ||
      channels === undefined ||
      rest.length
    ) {
      throw new InvalidArgumentError('Use four numbers N,H,W,C such as 1,56,56,128.');
    }
    return [batch, height, width, channels];
  });
  return [...previous, ...shapes];
}

/** A matrix product's rows and inputs; a map N,H,W,C has N·H·W rows and C inputs. */
export interface RowsShape {
  readonly rows: number;
  readonly inputs: number;
}

/** `3136,128` or `1,56,56,128`, several separated by `;`, and the option may be repeated. */
export function parseRowsShapes(text: string, previous: readonly RowsShape[] = []): RowsShape[] {
  const shapes = splitList(text, ';').map((item): RowsShape => {
    const parts = splitList(item, ',').map((part) => parseCount(part));
    const inputs = parts.at(-1);
    if ((parts.length !== 2 && parts.length !== 4) || inputs === undefined) {
      throw new InvalidArgumentError('Use rows,inputs such as 3136,128 or N,H,W,C such as 1,56,56,128.');
    }
    const rows = parts.slice(0, -1).reduce((a, b) => a * b, 1);
    return { rows: parseCount(String(rows)), inputs };
  });
  return [...previous, ...shapes];
}

/** `512` or `512,1024`, and the option may be repeated. */
export function parseCounts(text: string, previous: readonly number[] = []): number[] {
  return [...previous, ...splitList(text, ',').map((part) => parseCount(part))];
}

/** `3,7,51x5`: square kernels, or height x width. */
export function parseKernels(text: string): KernelSize[] {
  return splitList(text, ',').map((item) => {
    const [height, width, ...rest] = item.split('x').map((part) => parseCount(part, 151));
    if (height === undefined || rest.length > 0) {
      throw new InvalidArgumentError('Use kernel sizes such as 31 or 51x5, separated by commas.');
    }
    return { height, width: width ?? height };
  });
}

/** `0.4,0.9`: at least 0, below 1. */
export function parseShares(text: string): number[] {
  return splitList(text, ',').map((item) => {
    const share = Number(item);
    if (item.trim() === '' || !(share >= 0 && share < 1)) {
      throw new InvalidArgumentError('Use shares of at least 0 and below 1, such as 0.4,0.9.');
    }
    return share;
  });
}

/** `native,wasm`, or `none` to time the peers alone. */
export function parseDevices(text: string): WidefieldDevice[] {
  return text.trim() === 'none' ? [] : parseNamedDevices(text);
}

/** `native,wasm`. */
export function parseNamedDevices(text: string): WidefieldDevice[] {
  return parseNames(text, ['native', 'wasm'], 'device');
}

/** Names of peers, `all` or `none`. */
export function parsePeers(text: string): PeerName[] {
  if (text.trim() === 'all') return [...PEER_NAMES];
  return text.trim() === 'none' ? [] : parseNames(text, PEER_NAMES, 'peer');
}

function parseNames<T extends string>(text: string, known: readonly T[], what: string): T[] {
  const names = splitList(text, ',').map((item) => {
    const name = known.find((one) => one === item);
    if (name === undefined) {
      throw new InvalidArgumentError(`There is no ${what} ${item}: use ${known.join(', ')}.`);
    }
    return name;
  });
  return [...new Set(names)];
}

function splitList(text: string, separator: string): string[] {
  const items = text.split(separator).map((item) => item.trim());
  if (items.includes('')) throw new InvalidArgumentError(`Something is missing next to a "${separator}".`);
  return items;
}
