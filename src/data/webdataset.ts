import path from 'node:path';

import type { ByteSource } from '../checkpoints/byte-source.ts';
import { openFileSource } from '../checkpoints/file-source.ts';
import { printable } from '../checkpoints/text.ts';
import { closable } from '../core/closable.ts';
import { invalidArgument } from '../core/errors.ts';
import type { Dataset, SampleGroup, StrayFile } from './dataset.ts';
import { readWhole } from './files.ts';
import { checkLabels, numberedClasses } from './idx.ts';
import { scanTar } from './tar.ts';
import type { TarEntry } from './tar.ts';

const IMAGES = ['jpg', 'jpeg', 'png', 'webp', 'avif', 'gif', 'tif', 'tiff'];
const MAX_IMAGE_BYTES = 2 ** 28;
/** Beside the shards: one class name a line. */
const CLASS_FILES = ['classes.txt', 'classnames.txt', 'labels.txt'];
/** A label's file is a number, or a small JSON object. */
const MAX_LABEL_BYTES = 2 ** 20;

export interface WebDatasetOptions {
  readonly name?: string;
  readonly signal?: AbortSignal;
}

interface Place {
  readonly shard: number;
  readonly entry: TarEntry;
}

/**
 * Tar shards in WebDataset's convention: files that follow one another and agree up to the first dot of their name are a
 * sample, such as `n01.jpg` and `n01.cls`. The label is the number in `.cls`, or `label` or `cls` in `.json`. Names
 * of classes may stand in `classes.txt` beside the shards, one a line.
 *
 * Opening reads all headers and labels once. Throws `io`, and `invalid-argument` if a shard is damaged, has no samples,
 * or has labels that no class has.
 */
export async function openWebDataset(
  shards: readonly string[],
  options: WebDatasetOptions = {},
): Promise<Dataset & AsyncDisposable> {
  const places: Place[] = [];
  const labels: number[] = [];
  const groups: SampleGroup[] = [];
  const strays: StrayFile[] = [];
  for (const [shard, file] of shards.entries()) {
    const start = places.length;
    const source = await openFileSource(file);
    try {
      for await (const { entry, label } of scanShard(source, strays, options.signal)) {
        places.push({ shard, entry });
        labels.push(label);
      }
    } finally {
      await source.close();
    }
    if (places.length > start) groups.push({ start, length: places.length - start });
  }
  const folder = path.dirname(shards[0] ?? '.');
  const name = options.name ?? folder;
  if (places.length === 0) {
    throw invalidArgument(
      `${name} has no samples in its tar files: each needs an image (.jpg, .png, .webp) and a label (.cls or .json) of the same name.`,
    );
  }
  const classes = (await readClasses(folder)) ?? numberedClasses(labels);
  checkLabels(name, labels, classes.length);
  const labelOf = (index: number): number => labels[index] ?? 0;
  return closable<Dataset>({
    name,
    classes,
    length: places.length,
    groups,
    strays,
    labelOf,
    read: async (index) => {
      const { shard, entry } = places[index] ?? { shard: 0, entry: { name: '', offset: 0, size: 0 } };
      const file = shards[shard] ?? '';
      const source = await openFileSource(file);
      try {
        const bytes = await source.read(entry.offset, entry.size);
        return { name: `${file}:${printable(entry.name)}`, label: labelOf(index), image: { bytes } };
      } finally {
        await source.close();
      }
    },
    close: () => Promise.resolve(),
  });
}

/** The samples of a shard: neighbours with the same key. */
async function* scanShard(
  source: ByteSource,
  strays: StrayFile[],
  signal: AbortSignal | undefined,
): AsyncGenerator<{ entry: TarEntry; label: number }, void, void> {
  let key: string | undefined;
  let members: TarEntry[] = [];
  for await (const entry of scanTar(source, signal)) {
    const own = keyOf(entry.name);
    if (own !== key) {
      const sample = await toSample(source, members, strays);
      if (sample) yield sample;
      key = own;
      members = [];
    }
    members.push(entry);
  }
  const sample = await toSample(source, members, strays);
  if (sample) yield sample;
}

/** The path up to the first dot behind the last slash. */
function keyOf(name: string): string {
  const file = name.lastIndexOf('/') + 1;
  const dot = name.indexOf('.', file + 1);
  return dot < 0 ? name : name.slice(0, dot);
}

function extensionOf(name: string): string {
  return name.slice(keyOf(name).length + 1).toLowerCase();
}

async function toSample(
  source: ByteSource,
  members: readonly TarEntry[],
  strays: StrayFile[],
): Promise<{ entry: TarEntry; label: number } | undefined> {
  const first = members[0];
  if (first === undefined) return undefined;
  const stray = (reason: string): undefined => {
    strays.push({ name: `${source.name}:${printable(first.name)}`, reason });
  };
  const entry = members.find(({ name }) => IMAGES.includes(extensionOf(name)));
  if (entry === undefined) return stray('it belongs to no image');
  if (entry.size > MAX_IMAGE_BYTES) return stray('it is larger than 256 MiB');
  const labelled =
    members.find(({ name }) => extensionOf(name) === 'cls') ??
    members.find(({ name }) => extensionOf(name) === 'json');
  if (labelled === undefined) return stray('it has no .cls or .json with a label');
  if (labelled.size > MAX_LABEL_BYTES) return stray('its label is larger than 1 MiB');
  const label = parseLabel(labelled.name, await source.read(labelled.offset, labelled.size));
  if (label === undefined) return stray(`${printable(labelled.name)} holds no label: a whole number from 0`);
  return { entry, label };
}

function parseLabel(name: string, bytes: Uint8Array): number | undefined {
  const text = new TextDecoder().decode(bytes).trim();
  let value: unknown = text;
  if (extensionOf(name) === 'json') {
    try {
      const object: unknown = JSON.parse(text);
      if (typeof object !== 'object' || object === null) return undefined;
      value = 'label' in object ? object.label : 'cls' in object ? object.cls : undefined;
    } catch {
      return undefined;
    }
  }
  const isWhole = typeof value === 'number' || (typeof value === 'string' && /^\d{1,9}$/.test(value));
  const label = Number(value);
  return isWhole && Number.isInteger(label) && label >= 0 && label < 1e9 ? label : undefined;
}

async function readClasses(folder: string): Promise<readonly string[] | undefined> {
  for (const name of CLASS_FILES) {
    const bytes = await readWhole(path.join(folder, name), 2 ** 24).catch(() => undefined);
    if (bytes === undefined) continue;
    const lines = new TextDecoder().decode(bytes).trimEnd().split(/\r?\n/);
    return lines.map((line) => printable(line));
  }
  return undefined;
}
