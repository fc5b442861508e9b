import { invalidArgument } from '../core/errors.ts';
import type { ByteSource } from './byte-source.ts';
import { warnOfNonFinite } from './non-finite.ts';
import { readAhead } from './read-ahead.ts';
import { headerLength, openSafetensors } from './safetensors.ts';
import { MAX_INDEX_BYTES, checkIndex, joinShards, parseIndex } from './sharded.ts';
import type { Checkpoint } from './source.ts';
import { LEGACY_MAGIC, openTorchLegacy } from './torch-legacy.ts';
import { printable } from './text.ts';
import { openTorchZip } from './torch-zip.ts';

export interface CheckpointOptions {
  /**
   * Which state dict to take where a PyTorch file holds several, e.g. `model_ema`. Default: the file itself, `model`,
   * `state_dict` and the like, in this order, else the nearest; `Checkpoint.subtrees` lists what there is. Safetensors
   * files have none.
   */
  readonly subtree?: string;
  /** Called with a sentence for each tensor read that has NaN or infinite values. */
  readonly onWarning?: (message: string) => void;
}

/**
 * Opens weights: a safetensors file, a PyTorch file (zip or legacy), or several files with different keys, among which
 * may be the JSON index that names the others. The format is told by the content. Nothing in a file is executed, and
 * tensors are read when they are asked for.
 *
 * The returned checkpoint owns the sources: closing it closes them. If this throws, they are closed.
 *
 * @throws WidefieldError `invalid-argument` for files that are damaged or something else, `unsupported` for those
 * that ask for callables or number formats that we do not know, `io` for those that cannot be read.
 */
export async function loadCheckpoint(
  source: ByteSource | readonly ByteSource[],
  options: CheckpointOptions = {},
): Promise<Checkpoint> {
  const sources = (isList(source) ? source : [source]).map(readAhead);
  try {
    const checkpoint = await openAll(sources, options.subtree);
    return options.onWarning === undefined ? checkpoint : warnOfNonFinite(checkpoint, options.onWarning);
  } catch (error) {
    await Promise.all(sources.map((each) => each.close()));
    throw error;
  }
}

/** What the first bytes of a file say that it is. */
export type FileFormat = Checkpoint['format'] | 'index';

/** Tells a checkpoint's format by its content. Throws `invalid-argument` for anything else, with a guess at what. */
export async function detectFormat(source: ByteSource): Promise<FileFormat> {
  if (source.size === 0) throw invalidArgument(`${source.name} is empty: download or save it again.`);
  const start = await source.read(0, Math.min(source.size, 64));
  const text = String.fromCharCode(...start);
  if (text.startsWith('PK\u0003\u0004')) return 'pytorch-zip';
  if (LEGACY_MAGIC.every((byte, i) => start[i] === byte)) return 'pytorch-legacy';
  // The 8 bytes of length before a safetensors header might be a brace by chance.
  if (text[8] === '{' && (text[0] !== '{' || (await headerLength(source)) !== undefined))
    return 'safetensors';
  if (/^\s*\{/.test(text)) return 'index';
  throw invalidArgument(`${source.name} is not a checkpoint: ${guess(text)}.`);
}

/** The index file's map from keys to files. */
export async function readIndex(source: ByteSource): Promise<Map<string, string>> {
  if (source.size > MAX_INDEX_BYTES)
    throw invalidArgument(`${source.name} is too large for an index of shards.`);
  return parseIndex(new TextDecoder().decode(await source.read(0, source.size)), source.name);
}

async function openAll(sources: readonly ByteSource[], subtree: string | undefined): Promise<Checkpoint> {
  const formats = await Promise.all(sources.map(detectFormat));
  const [index, secondIndex] = sources.filter((_, i) => formats[i] === 'index');
  if (secondIndex !== undefined) throw invalidArgument('Give one index of shards, not several.');
  const shards: { readonly name: string; readonly checkpoint: Checkpoint }[] = [];
  for (const [i, source] of sources.entries()) {
    const format = formats[i];
    if (format === undefined || format === 'index') continue;
    shards.push({ name: baseName(source.name), checkpoint: await openAs(source, format, subtree) });
  }
  const [first, second] = shards;
  if (index !== undefined) {
    const files = await readIndex(index);
    const given = new Map(shards.map(({ name, checkpoint }) => [name, checkpoint]));
    const missing = [...new Set(files.values())].filter((file) => !given.has(file));
    if (missing[0] !== undefined)
      throw invalidArgument(`${index.name} needs the file ${printable(missing[0])} as well.`);
    checkIndex(index.name, files, given);
    await index.close();
    return joinShards(index.name, [...given.values()]);
  }
  if (first === undefined) throw invalidArgument('Give at least one checkpoint file.');
  if (second === undefined) return first.checkpoint;
  return joinShards(
    `${first.checkpoint.name} and ${shards.length - 1} more`,
    shards.map(({ checkpoint }) => checkpoint),
  );
}

async function openAs(
  source: ByteSource,
  format: Checkpoint['format'],
  subtree: string | undefined,
): Promise<Checkpoint> {
  switch (format) {
    case 'safetensors':
      if (subtree === undefined || subtree === '') return openSafetensors(source);
      throw invalidArgument(
        `${source.name} is a safetensors file, which holds one state dict: leave the subtree ${JSON.stringify(printable(subtree))} out.`,
      );
    case 'pytorch-zip':
      return openTorchZip(source, subtree);
    case 'pytorch-legacy':
      return openTorchLegacy(source, subtree);
  }
}

/** What people often have instead of a checkpoint. */
function guess(start: string): string {
  if (start.startsWith('version https://git-lfs'))
    return 'it is a Git LFS pointer, so download the file itself';
  if (/^\s*</.test(start)) return 'it is a web page, so download the file behind it';
  if (start.startsWith('\u0080')) return 'it is a pickle, but not one of torch.save';
  if (start.startsWith('PK')) return 'it is an empty or split zip file';
  return 'it is neither safetensors nor a PyTorch file, or damaged at its beginning';
}

function baseName(path: string): string {
  return path.split(/[/\\]/).at(-1) ?? path;
}

function isList(source: ByteSource | readonly ByteSource[]): source is readonly ByteSource[] {
  return Array.isArray(source);
}
