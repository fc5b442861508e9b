import type { ByteSource } from '../../checkpoints/byte-source.ts';
import { invalidArgument } from '../../core/errors.ts';
import { readThrift } from './thrift.ts';
import type { ThriftStruct, ThriftValue } from './thrift.ts';

/** A column with values: its path in the schema, and how many of its ancestors and itself may be missing. */
export interface Leaf {
  readonly path: string;
  readonly type: number;
  /** The definition level of a value that is there. */
  readonly definitionLevel: number;
  readonly repeated: boolean;
}

/** Where the values of a leaf in a row group lie. */
export interface Chunk {
  readonly path: string;
  readonly codec: number;
  readonly start: number;
  readonly size: number;
}

export interface RowGroupMetadata {
  readonly rows: number;
  readonly bytes: number;
  readonly chunks: readonly Chunk[];
}

export interface ParquetMetadata {
  readonly leaves: readonly Leaf[];
  /** The columns at the top of the schema. */
  readonly columns: readonly string[];
  readonly rowGroups: readonly RowGroupMetadata[];
  readonly keyValues: ReadonlyMap<string, string>;
}

export const MAGIC = 'PAR1';

/** Reads a file's footer: metadata, their length (32 bits, little-endian), `PAR1`. Throws `invalid-argument`, `io`. */
export async function readMetadata(source: ByteSource): Promise<ParquetMetadata> {
  if (source.size < 12) throw invalidArgument('it is too short');
  const tail = await source.read(source.size - 8, 8);
  if (toText(tail.subarray(4)) !== MAGIC) throw invalidArgument('it does not end as such files do');
  const length = new DataView(tail.buffer, tail.byteOffset).getUint32(0, true);
  if (length > source.size - 12) throw invalidArgument('its metadata are longer than the file');
  const { value } = readThrift(await source.read(source.size - 8 - length, length));
  const schema = structs(value.get(2));
  const rowGroups = structs(value.get(4)).map((group) => readRowGroup(group, source.size));
  // Every image has a few bytes, and no two columns share theirs, so there are fewer rows than bytes in the file.
  const total = (sizes: readonly number[]): number => count(sum(sizes), source.size);
  total(rowGroups.map(({ rows }) => rows));
  total(rowGroups.flatMap(({ chunks }) => chunks.map(({ size }) => size)));
  return {
    ...readSchema(schema),
    rowGroups,
    keyValues: new Map(structs(value.get(5)).map((pair) => [text(pair.get(1)), text(pair.get(2))])),
  };
}

/** The schema is a tree in depth-first order. Repetition: 0 required, 1 optional, 2 repeated. */
function readSchema(elements: readonly ThriftStruct[]): Pick<ParquetMetadata, 'leaves' | 'columns'> {
  const leaves: Leaf[] = [];
  const columns: string[] = [];
  let next = 1; // behind the root
  const visit = (prefix: string, level: number, repeated: boolean, depth: number): void => {
    const element = elements[next++];
    if (element === undefined || depth > 32) throw invalidArgument('its schema is damaged');
    const name = text(element.get(4));
    const path = prefix === '' ? name : `${prefix}.${name}`;
    if (prefix === '') columns.push(name);
    const repetition = element.get(3) ?? 0;
    const ownLevel = level + (repetition === 0 ? 0 : 1);
    const ownRepeated = repeated || repetition === 2;
    const children = count(element.get(5) ?? 0, elements.length);
    if (children === 0) {
      leaves.push({ path, type: integer(element.get(1)), definitionLevel: ownLevel, repeated: ownRepeated });
    }
    for (let i = 0; i < children; i++) visit(path, ownLevel, ownRepeated, depth + 1);
  };
  const children = count(elements[0]?.get(5) ?? 0, elements.length);
  for (let i = 0; i < children; i++) visit('', 0, false, 0);
  return { leaves, columns };
}

function readRowGroup(group: ThriftStruct, fileSize: number): RowGroupMetadata {
  const chunks = structs(group.get(1)).map((column): Chunk => {
    const [metadata] = structs([column.get(3) ?? 0]);
    if (metadata === undefined) throw invalidArgument('a column has no metadata');
    const path = list(metadata.get(3)).map(text).join('.');
    const data = count(metadata.get(9), fileSize);
    const dictionary = metadata.get(11);
    // Some writers give 0 for none.
    const start = typeof dictionary === 'number' && dictionary > 0 ? Math.min(dictionary, data) : data;
    return { path, codec: integer(metadata.get(4)), start, size: count(metadata.get(7), fileSize - start) };
  });
  return { rows: count(group.get(3), fileSize), bytes: integer(group.get(2)), chunks };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function structs(value: ThriftValue | undefined): ThriftStruct[] {
  return list(value).filter((item): item is ThriftStruct => item instanceof Map);
}

function list(value: ThriftValue | undefined): readonly ThriftValue[] {
  return Array.isArray(value) ? (value as readonly ThriftValue[]) : [];
}

function text(value: ThriftValue | undefined): string {
  return value instanceof Uint8Array ? toText(value) : '';
}

export function toText(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** A whole number. */
export function integer(value: ThriftValue | undefined): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) throw invalidArgument('a number is missing');
  return value;
}

/** A whole number from 0 to `most`. */
export function count(value: ThriftValue | undefined, most: number): number {
  const number = integer(value);
  if (number < 0 || number > most) throw invalidArgument(`a size of ${number} is impossible`);
  return number;
}

/** A field that is a struct. */
export function child(struct: ThriftStruct, field: number): ThriftStruct {
  const value = struct.get(field);
  if (!(value instanceof Map)) throw invalidArgument('a header is damaged');
  return value as ThriftStruct;
}
