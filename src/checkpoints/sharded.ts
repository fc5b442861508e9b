import { invalidArgument } from '../core/errors.ts';
import type { WidefieldError } from '../core/errors.ts';
import { noSuchTensor } from './source.ts';
import type { Checkpoint } from './source.ts';
import { printable } from './text.ts';

/** Largest index file, in bytes. */
export const MAX_INDEX_BYTES = 2 ** 26;

/**
 * Parses an index such as `model.safetensors.index.json`: `{"weight_map": {key: file}}`. Files must be plain names,
 * so that an index cannot reach out of its folder.
 */
export function parseIndex(text: string, name: string): Map<string, string> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw badIndex(name);
  }
  const map =
    typeof parsed === 'object' && parsed !== null && 'weight_map' in parsed ? parsed.weight_map : undefined;
  if (typeof map !== 'object' || map === null || Array.isArray(map)) throw badIndex(name);
  const files = new Map<string, string>();
  for (const [key, file] of Object.entries(map) as [string, unknown][]) {
    if (typeof file !== 'string') throw badIndex(name);
    if (!isPlainName(file)) {
      throw invalidArgument(
        `${name} names the shard ${JSON.stringify(printable(file))}, which is not a plain file name: ` +
          'put all shards in the folder of the index.',
      );
    }
    files.set(key, file);
  }
  return files;
}

/** Joins shards into one source. Throws `invalid-argument` if two of them have the same key. */
export function joinShards(name: string, shards: readonly Checkpoint[]): Checkpoint {
  const homes = new Map<string, Checkpoint>();
  for (const shard of shards) {
    for (const key of shard.entries.keys()) {
      const other = homes.get(key);
      if (other !== undefined) {
        throw invalidArgument(
          `${other.name} and ${shard.name} both hold ${printable(key)}: give only the shards of one checkpoint.`,
        );
      }
      homes.set(key, shard);
    }
  }
  const close = async (): Promise<void> => {
    await Promise.all(shards.map((shard) => shard.close()));
  };
  return {
    name,
    format: shards[0]?.format ?? 'safetensors',
    subtree: shards[0]?.subtree ?? '',
    subtrees: shards[0]?.subtrees ?? [''],
    entries: new Map(shards.flatMap((shard) => [...shard.entries])),
    read(key) {
      return homes.get(key)?.read(key) ?? Promise.reject(noSuchTensor(name, key));
    },
    readBytes(key) {
      return homes.get(key)?.readBytes(key) ?? Promise.reject(noSuchTensor(name, key));
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Throws `invalid-argument` unless every key is in the shard that the index says. */
export function checkIndex(
  name: string,
  files: ReadonlyMap<string, string>,
  shards: ReadonlyMap<string, Checkpoint>,
): void {
  for (const [key, file] of files) {
    if (shards.get(file)?.entries.has(key) !== true) {
      throw invalidArgument(
        `${name} says that ${printable(key)} is in ${printable(file)}, but it is not: download both again.`,
      );
    }
  }
}

function isPlainName(file: string): boolean {
  return file !== '' && file !== '.' && file !== '..' && !/[/\\\0:]/.test(file);
}

function badIndex(name: string): WidefieldError {
  return invalidArgument(
    `${name} is not an index of safetensors shards: it has no "weight_map" of keys to files.`,
  );
}
