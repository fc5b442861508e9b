import { parquetMetadataAsync, parquetReadObjects } from 'hyparquet';
import type { AsyncBuffer, FileMetaData } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';

import type { ByteSource } from '../checkpoints/byte-source.ts';
import { openFileSource } from '../checkpoints/file-source.ts';
import { WidefieldError, invalidArgument } from '../core/errors.ts';
import type { Dataset, SampleGroup } from './dataset.ts';
import { checkLabels, numberedClasses } from './idx.ts';
import { MIXED_GROUPS } from './order.ts';

/** Row groups in memory: those that an order mixes, and the first of the next ones. */
const GROUPS_KEPT = MIXED_GROUPS + 2;
/** Row groups are read as a whole, so that much memory several times over. */
const MAX_GROUP_BYTES = 2 ** 30;

/** Which columns hold what, and what the labels mean. */
export interface ParquetColumns {
  readonly image: string;
  readonly label: string;
  readonly classes?: readonly string[] | undefined;
}

export interface ParquetOptions {
  readonly name?: string;
  readonly classes?: readonly string[];
}

/** A file of the set, open. */
interface Part {
  readonly source: ByteSource;
  readonly file: AsyncBuffer;
  readonly metadata: FileMetaData;
  readonly columns: ParquetColumns;
}

/** A row group, and where its samples are in the set. */
interface RowGroup extends SampleGroup {
  readonly part: Part;
  /** Its first row in the file. */
  readonly row: number;
}

/**
 * Parquet files as Hugging Face publishes image sets: a column of images, each a struct of `bytes` and `path`, and one of
 * labels, integers. Names of classes come from the metadata under the key `huggingface`.
 *
 * Opening reads the labels of all files. Throws `io`, and `invalid-argument` if a file is damaged, has no such columns,
 * or has labels that no class has.
 */
export async function openParquet(files: readonly string[], options: ParquetOptions = {}): Promise<Dataset> {
  const parts: Part[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(parts.map(({ source }) => source.close()));
  };
  try {
    for (const file of files) parts.push(await openPart(file));
    const groups = rowGroups(parts);
    const labels = (await Promise.all(parts.map(readLabels))).flat();
    const name = options.name ?? files[0] ?? 'the set';
    const classes = options.classes ?? parts[0]?.columns.classes ?? numberedClasses(labels);
    checkLabels(name, labels, classes.length);
    return { name, classes, length: labels.length, groups, ...createReader(groups, labels), close };
  } catch (error) {
    await close();
    throw error;
  }
}

function createReader(
  groups: readonly RowGroup[],
  labels: readonly number[],
): Pick<Dataset, 'labelOf' | 'read'> {
  const kept = new Map<RowGroup, Promise<readonly unknown[]>>();
  const imagesOf = (group: RowGroup): Promise<readonly unknown[]> => {
    const images =
      kept.get(group) ?? readColumn(group.part, group.part.columns.image, group.row, group.length);
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
      const file = group.part.source.name;
      const row = group.row + index - group.start;
      const path = readField(image, 'path');
      const name = `${file}#${row}${typeof path === 'string' && path !== '' ? ` (${path.slice(0, 200)})` : ''}`;
      const bytes = readField(image, 'bytes');
      if (!(bytes instanceof Uint8Array))
        throw invalidArgument(`${name} has no image bytes: export it with them.`);
      return { name, label: labelOf(index), image: { bytes } };
    },
  };
}

async function openPart(file: string): Promise<Part> {
  const source = await openFileSource(file);
  try {
    const buffer: AsyncBuffer = {
      byteLength: source.size,
      slice: async (start, end = source.size) => {
        const bytes = await source.read(start, end - start);
        return bytes.buffer as ArrayBuffer;
      },
    };
    const metadata = await attempt(file, () => parquetMetadataAsync(buffer, { geoparquet: false }));
    return { source, file: buffer, metadata, columns: findColumns(file, metadata) };
  } catch (error) {
    await source.close();
    throw error;
  }
}

/** The columns by Hugging Face's metadata, or else by their usual names. */
function findColumns(file: string, metadata: FileMetaData): ParquetColumns {
  const features = readFeatures(metadata);
  const ofType = (type: string): string | undefined =>
    [...features].find(([, feature]) => readField(feature, '_type') === type)?.[0];
  const names = topLevelColumns(metadata);
  const named = (candidates: readonly string[]): string | undefined =>
    candidates.find((name) => names.includes(name));
  const image = ofType('Image') ?? named(['image', 'img', 'jpg']);
  const label = ofType('ClassLabel') ?? named(['label', 'labels', 'fine_label', 'cls']);
  if (image === undefined || label === undefined || !names.includes(image) || !names.includes(label)) {
    throw invalidArgument(
      `${file} lacks a column of images or one of labels (it has ${names.slice(0, 20).join(', ')}): name them image and label.`,
    );
  }
  const classes: unknown = readField(features.get(label), 'names');
  const isNames = Array.isArray(classes) && classes.every((name) => typeof name === 'string');
  return { image, label, classes: isNames ? classes : undefined };
}

/** What `datasets` wrote about the columns. */
function readFeatures(metadata: FileMetaData): ReadonlyMap<string, unknown> {
  const text = metadata.key_value_metadata?.find(({ key }) => key === 'huggingface')?.value;
  try {
    const features = readField(readField(JSON.parse(text ?? '{}'), 'info'), 'features');
    return new Map(typeof features === 'object' && features !== null ? Object.entries(features) : []);
  } catch {
    return new Map();
  }
}

/** The names in the schema, a tree in depth-first order, at the level below its root. */
function topLevelColumns({ schema }: FileMetaData): string[] {
  const names: string[] = [];
  const open: number[] = []; // children that are still to come, of each ancestor
  for (const element of schema) {
    if (open.length === 1) names.push(element.name);
    if (open.length > 0) open[open.length - 1] = (open.at(-1) ?? 0) - 1;
    if (element.num_children) open.push(element.num_children);
    while (open.length > 1 && open.at(-1) === 0) open.pop();
  }
  return names;
}

function rowGroups(parts: readonly Part[]): RowGroup[] {
  const groups: RowGroup[] = [];
  let start = 0;
  for (const part of parts) {
    let row = 0;
    for (const group of part.metadata.row_groups) {
      const length = Number(group.num_rows);
      const bytes = Number(group.total_byte_size);
      if (!(Number.isSafeInteger(length) && length >= 0)) {
        throw invalidArgument(`${part.source.name} has a row group of ${length} rows: get an intact copy.`);
      }
      if (bytes > MAX_GROUP_BYTES) {
        throw invalidArgument(
          `${part.source.name} has a row group of ${bytes} bytes: write it with smaller ones, of some hundred images.`,
        );
      }
      if (length > 0) groups.push({ start, length, part, row });
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

async function readLabels(part: Part): Promise<number[]> {
  const rows = Number(part.metadata.num_rows);
  const labels = await readColumn(part, part.columns.label, 0, rows);
  const counted = part.metadata.row_groups.reduce((sum, group) => sum + Number(group.num_rows), 0);
  if (labels.length !== counted) {
    throw invalidArgument(
      `${part.source.name} has ${labels.length} labels for ${counted} rows: get an intact copy.`,
    );
  }
  return labels.map((label, row) => {
    if (typeof label === 'number' || typeof label === 'bigint') return Number(label);
    throw invalidArgument(`Row ${row} of ${part.source.name} has no label: labels are whole numbers.`);
  });
}

async function readColumn(part: Part, column: string, row: number, rows: number): Promise<unknown[]> {
  const { file, metadata, source } = part;
  const range = { rowStart: row, rowEnd: row + rows };
  const objects = await attempt(source.name, () =>
    parquetReadObjects({ file, metadata, columns: [column], ...range, compressors, utf8: false }),
  );
  return objects.map((object) => object[column] as unknown);
}

function readField(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

/** Runs the reader and turns its complaint into one sentence. */
async function attempt<T>(name: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof WidefieldError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new WidefieldError(
      'invalid-argument',
      `${name} cannot be read as Parquet (${reason.split('\n')[0]}): get an intact copy.`,
      { cause: error },
    );
  }
}
