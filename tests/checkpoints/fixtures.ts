import { readFileSync, readdirSync } from 'node:fs';

import { bytesSource } from '../../src/checkpoints/byte-source.ts';
import type { ByteSource } from '../../src/checkpoints/byte-source.ts';

/** Where tests/fixtures/checkpoints/make.py put its files. */
export const FOLDER = new URL('../fixtures/checkpoints/', import.meta.url);

export interface ExpectedTensor {
  readonly shape: readonly number[];
  readonly dtype: string;
  /** Numbers, or 'inf', '-inf' and 'nan'. */
  readonly values: readonly (number | string)[];
}

type ExpectedTensors = Readonly<Record<string, ExpectedTensor>>;

export interface ExpectedFile {
  readonly subtree: string;
  readonly subtrees: readonly string[];
  readonly tensors: ExpectedTensors;
  readonly ema?: ExpectedTensors;
}

const contents = JSON.parse(readFileSync(new URL('expected.json', FOLDER), 'utf8')) as Record<
  string,
  ExpectedFile | { readonly refused: string }
>;

/** Fixtures that load, with what PyTorch says is in them. */
export const LOADED = Object.entries(contents).flatMap(([name, entry]) =>
  'tensors' in entry ? [{ name, expected: entry }] : [],
);

/** Fixtures that must be refused, with the callable that they name. */
export const REFUSED = Object.entries(contents).flatMap(([name, entry]) =>
  'refused' in entry ? [{ name, callable: entry.refused }] : [],
);

export function fixtureBytes(name: string): Uint8Array {
  return new Uint8Array(readFileSync(new URL(name, FOLDER)));
}

export function fixtureSource(name: string): ByteSource {
  return bytesSource(fixtureBytes(name), name);
}

/** All checkpoint files, the index of shards included. */
export function fixtureNames(): string[] {
  return readdirSync(FOLDER).filter((name) => /\.(pth|safetensors|index\.json)$/.test(name));
}

/** Expected values as float32. */
export function expectedValues(tensor: ExpectedTensor): Float32Array {
  const named = new Map([
    ['inf', Infinity],
    ['-inf', -Infinity],
    ['nan', NaN],
  ]);
  return Float32Array.from(tensor.values, (value) =>
    typeof value === 'number' ? value : (named.get(value) ?? 0),
  );
}
