import type { ByteSource } from '../checkpoints/byte-source.ts';
import { openFileSource } from '../checkpoints/file-source.ts';
import { printable } from '../checkpoints/text.ts';
import { closable } from '../core/closable.ts';
import { WidefieldError, invalidArgument, throwIfAborted } from '../core/errors.ts';
import type { Dataset, SampleGroup } from './dataset.ts';
import { checkLabels, numberedClasses } from './idx.ts';
import { listNames } from './image-folder.ts';
import { MIXED_GROUPS } from './order.ts';
import { MAX_CHUNK, readChunk } from './parquet/column.ts';
import type { Value } from './parquet/encodings.ts';
import { readMetadata } from './parquet/metadata.ts';
import type { ParquetMetadata, RowGroupMetadata } from './parquet/metadata.ts';

/** Row groups in memory: those that an order mixes, and the first of the next ones. */
const GROUPS_KEPT = MIXED_GROUPS + 2;
/** More rows in a row group than anybody writes. */
const MAX_GROUP_ROWS = 2 ** 24;

/** Which columns hold what, and what the labels mean. */
export interface ParquetColumns {
  readonly image: string;
  readonly label: string;
  readonly classes?: readonly string[] | undefined;
}

export interface ParquetOptions {
  readonly name?: string;
  readonly signal?: AbortSignal;
}

/** A file of the set, open. */
interface Part {
  readonly source: ByteSource;
  readonly metadata: ParquetMetadata;
  readonly columns: ParquetColumns;
}

/** A row group, and where its samples are in the set. */
interface RowGroup extends SampleGroup {
  readonly part: Part;
  readonly metadata: RowGroupMetadata;
  /** Its first row in the file. */
  readonly row: number;
}

/** An image as it is stored. */
interface StoredImage {
  readonly bytes: Value | undefined;
  readonly path: Value | undefined;
}

/**
 * Parquet files as Hugging Face publishes image sets: a column of images, each a struct of `bytes` and `path`, and one of
 * labels, integers. Names of classes come from the metadata under the key `huggingface`.
 *
 * Opening reads the labels of all files. Throws `io`, `aborted`, and `invalid-argument` if a file is damaged, has no such
 * columns, or has labels that no class has.
 */
export async function openParquet(
  files: readonly string[],
  options: ParquetOptions = {},
): Promise<Dataset & AsyncDisposable> {
  const parts: Part[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(parts.map(({ source }) => source.close()));
  };
  try {
    for (const file of files) parts.push(await openPart(file));
    const groups = rowGroups(parts);
    const labels = new Int32Array(groups.reduce((total, { length }) => total + length, 0));
    for (const group of groups) {
      throwIfAborted(options.signal);
      labels.set(await readLabels(group), group.start);
    }
    const name = options.name ?? files[0] ?? 'the set';
    const classes = parts[0]?.columns.classes ?? numberedClasses(labels);
    checkLabels(name, labels, classes.length);
    const places = groups.map(({ start, length }) => ({ start, length }));
    return closable<Dataset>({
      name,
      classes,
      length: labels.length,
      groups: places,
      ...createReader(groups, labels),
      close,
    });
  } catch (error) {
    await close();
    throw error;
  }
}

function createReader(groups: readonly RowGroup[], labels: Int32Array): Pick<Dataset, 'labelOf' | 'read'> {
  const kept = new Map<RowGroup, Promise<readonly StoredImage[]>>();
  const imagesOf = (group: RowGroup): Promise<readonly StoredImage[]> => {
    const images = kept.get(group) ?? readImages(group);
    // Used last, so the last one to go.
    kept.delete(group);
    kept.set(group, images);
    const [oldest] = kept.keys();
    if (kept.size > GROUPS_KEPT && oldest) kept.delete(oldest);
    return images;
  };
  const labelOf = (index: number): number => labels[index] ?? 0;
  return {
    labelOf,
    read: async (index) => {
      const group = findGroup(groups, index);
      const image = (await imagesOf(group))[index - group.start];
      const path =
        image?.path instanceof Uint8Array ? new TextDecoder().decode(image.path.subarray(0, 200)) : '';
      const row = `${group.part.source.name}#${group.row + index - group.start}`;
      const name = path === '' ? row : `${row} (${printable(path)})`;
      const bytes = image?.bytes;
      if (!(bytes instanceof Uint8Array)) {
        throw invalidArgument(`${name} has no image bytes: export it with them.`);
      }
      return { name, label: labelOf(index), image: { bytes } };
    },
  };
}

async function openPart(file: string): Promise<Part> {
  const source = await openFileSource(file);
  try {
    const metadata = await attempt(file, () => readMetadata(source));
    return { source, metadata, columns: findColumns(file, metadata) };
  } catch (error) {
    await source.close();
    throw error;
  }
}

/** The columns by Hugging Face's metadata, or else by their usual names. */
function findColumns(file: string, metadata: ParquetMetadata): ParquetColumns {
  const features = readFeatures(metadata);
  const ofType = (type: string): string | undefined =>
    [...features].find(([, feature]) => readField(feature, '_type') === type)?.[0];
  const names = metadata.columns;
  const named = (candidates: readonly string[]): string | undefined =>
    candidates.find((name) => names.includes(name));
  const image = ofType('Image') ?? named(['image', 'img', 'jpg']);
  const label = ofType('ClassLabel') ?? named(['label', 'labels', 'fine_label', 'cls']);
  if (image === undefined || label === undefined || !names.includes(image) || !names.includes(label)) {
    throw invalidArgument(
      `${file} lacks a column of images or one of labels (it has ${listNames(names, 20)}): name them image and label.`,
    );
  }
  const classes: unknown = readField(features.get(label), 'names');
  const isNames = Array.isArray(classes) && classes.every((name) => typeof name === 'string');
  return { image, label, classes: isNames ? classes.map((name) => printable(name)) : undefined };
}

/** What `datasets` wrote about the columns. */
function readFeatures({ keyValues }: ParquetMetadata): ReadonlyMap<string, unknown> {
  const text = keyValues.get('huggingface');
  try {
    const features = readField(readField(JSON.parse(text ?? '{}'), 'info'), 'features');
    return new Map(typeof features === 'object' && features !== null ? Object.entries(features) : []);
  } catch {
    return new Map();
  }
}

function rowGroups(parts: readonly Part[]): RowGroup[] {
  const groups: RowGroup[] = [];
  let start = 0;
  for (const part of parts) {
    let row = 0;
    for (const metadata of part.metadata.rowGroups) {
      const { rows: length, bytes, chunks } = metadata;
      const isLarge = bytes > MAX_CHUNK || chunks.some(({ size }) => size > MAX_CHUNK);
      if (isLarge || length > MAX_GROUP_ROWS) {
        throw invalidArgument(
          `${part.source.name} has a row group of ${length} rows and ${bytes} bytes: write it with smaller ones, of some hundred images.`,
        );
      }
      if (length > 0) groups.push({ start, length, part, metadata, row });
      start += length;
      row += length;
    }
  }
  return groups;
}

/** The group that holds a sample, by bisection. */
function findGroup(groups: readonly RowGroup[], index: number): RowGroup {
  let low = 0;
  let high = groups.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((groups[middle]?.start ?? 0) <= index) low = middle;
    else high = middle - 1;
  }
  const group = groups[low];
  if (group === undefined) throw invalidArgument(`There is no sample ${index}.`);
  return group;
}

async function readLabels(group: RowGroup): Promise<number[]> {
  const { part, row } = group;
  const labels = await readColumn(group, part.columns.label);
  return labels.map((label, i) => {
    if (typeof label === 'number' && (label | 0) === label) return label;
    throw invalidArgument(`Row ${row + i} of ${part.source.name} has no label: labels are whole numbers.`);
  });
}

/** A struct of bytes and path, or bytes alone. */
async function readImages(group: RowGroup): Promise<StoredImage[]> {
  const { image } = group.part.columns;
  const { leaves } = group.part.metadata;
  const isStruct = leaves.some(({ path }) => path === `${image}.bytes`);
  const bytes = await readColumn(group, isStruct ? `${image}.bytes` : image);
  const hasPaths = leaves.some(({ path }) => path === `${image}.path`);
  const paths = hasPaths ? await readColumn(group, `${image}.path`) : [];
  return bytes.map((own, i) => ({ bytes: own, path: paths[i] }));
}

async function readColumn(group: RowGroup, path: string): Promise<(Value | undefined)[]> {
  const { part, metadata } = group;
  const leaf = part.metadata.leaves.find((candidate) => candidate.path === path);
  const chunk = metadata.chunks.find((candidate) => candidate.path === path);
  return attempt(part.source.name, () => {
    if (leaf === undefined || chunk === undefined) throw invalidArgument(`it lacks the column ${path}`);
    return readChunk(part.source, chunk, leaf, group.length);
  });
}

function readField(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

/** Runs a reader, and names the file if it complains. */
async function attempt<T>(name: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof WidefieldError && error.code !== 'invalid-argument') throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new WidefieldError(
      'invalid-argument',
      `${name} cannot be read as Parquet (${reason.split('\n')[0]?.replace(/\.$/, '')}): get an intact copy.`,
      { cause: error },
    );
  }
}
