import { brotliDecompressSync, gunzipSync } from 'node:zlib';

import { decompressLz4Raw, decompressSnappy, decompressZstd } from 'hyparquet-compressors';

import type { ByteSource } from '../../checkpoints/byte-source.ts';
import { invalidArgument } from '../../core/errors.ts';
import { asBytes } from '../files.ts';
import { readDelta, readDeltaLengths, readHybrid, readPlain, viewOf } from './encodings.ts';
import type { Value } from './encodings.ts';
import { child, count, integer } from './metadata.ts';
import type { Chunk, Leaf } from './metadata.ts';
import { readThrift } from './thrift.ts';
import type { ThriftStruct } from './thrift.ts';

/** Parquet's numbers. */
const PAGE = { data: 0, dictionary: 2, dataV2: 3 } as const;
const ENCODING = { plain: 0, plainDictionary: 2, delta: 5, deltaLengths: 6, dictionary: 8 } as const;

/** Pages that would be so much larger than they are compressed exist to fill memories. */
const MAX_RATIO = 2000;
const SMALL_PAGE = 2 ** 20;
const MAX_PAGE = 2 ** 29;
/** Of a column in a row group, packed or not: row groups are read as a whole, so that much memory several times over. */
export const MAX_CHUNK = 2 ** 30;

/** A page, its levels and values not yet told apart. */
interface Page {
  readonly header: ThriftStruct;
  readonly body: Uint8Array;
}

/**
 * All values of a column in a row group, `undefined` where there is none. Of columns without lists, so that there is one
 * value a row.
 */
export async function readChunk(
  source: ByteSource,
  chunk: Chunk,
  leaf: Leaf,
  rows: number,
): Promise<(Value | undefined)[]> {
  if (leaf.repeated) throw invalidArgument(`${leaf.path} holds lists`);
  const bytes = await source.read(chunk.start, chunk.size);
  const values: (Value | undefined)[] = [];
  let dictionary: Value[] | undefined;
  let unpacked = 0;
  for (let at = 0; values.length < rows;) {
    const { value: header, end } = readThrift(bytes, at);
    const size = count(header.get(3), bytes.length - end);
    const page = { header, body: bytes.subarray(end, end + size) };
    at = end + size;
    unpacked += count(header.get(2), MAX_CHUNK - unpacked);
    switch (header.get(1)) {
      case PAGE.dictionary: {
        if (dictionary !== undefined) throw invalidArgument(`${leaf.path} has two dictionaries`);
        const own = child(header, 7);
        const body = decompress(chunk.codec, page.body, integer(header.get(2)));
        dictionary = readPlain(body, leaf.type, count(own.get(1), body.length));
        break;
      }
      case PAGE.data:
        append(values, readPage(page, chunk, leaf, dictionary ?? [], rows - values.length));
        break;
      case PAGE.dataV2:
        append(values, readPageV2(page, chunk, leaf, dictionary ?? [], rows - values.length));
        break;
      default: // an index
    }
  }
  return values;
}

/** A page all of which is compressed: levels behind their length of 32 bits, then values. */
function readPage(
  { header, body }: Page,
  chunk: Chunk,
  leaf: Leaf,
  dictionary: readonly Value[],
  most: number,
): (Value | undefined)[] {
  const own = child(header, 5);
  const rows = count(own.get(1), most);
  const bytes = decompress(chunk.codec, body, integer(header.get(2)));
  if (leaf.definitionLevel === 0) return readValues(bytes, own.get(2), leaf, rows, dictionary);
  if (bytes.length < 4) throw invalidArgument('a page is damaged');
  const end = 4 + count(viewOf(bytes).getUint32(0, true), bytes.length - 4);
  const levels = readHybrid(bytes.subarray(4, end), bitsFor(leaf.definitionLevel), rows);
  return spread(levels, leaf, (present) =>
    readValues(bytes.subarray(end), own.get(2), leaf, present, dictionary),
  );
}

/** A page whose levels are not compressed, and whose header tells their lengths. */
function readPageV2(
  { header, body }: Page,
  chunk: Chunk,
  leaf: Leaf,
  dictionary: readonly Value[],
  most: number,
): (Value | undefined)[] {
  const own = child(header, 8);
  const rows = count(own.get(1), most);
  const start = count(own.get(6) ?? 0, body.length);
  const end = start + count(own.get(5) ?? 0, body.length - start);
  const codec = own.get(7) === false ? 0 : chunk.codec;
  const size = Math.max(0, integer(header.get(2)) - end);
  const read = (present: number): Value[] =>
    present === 0
      ? []
      : readValues(decompress(codec, body.subarray(end), size), own.get(4), leaf, present, dictionary);
  if (leaf.definitionLevel === 0) return read(rows);
  return spread(readHybrid(body.subarray(start, end), bitsFor(leaf.definitionLevel), rows), leaf, read);
}

/** Values where the level says that there is one. */
function spread(
  levels: Uint32Array,
  leaf: Leaf,
  read: (present: number) => readonly Value[],
): (Value | undefined)[] {
  const isThere = (level: number): boolean => level === leaf.definitionLevel;
  const values = read(levels.reduce((sum, level) => sum + (isThere(level) ? 1 : 0), 0));
  let next = 0;
  return Array.from(levels, (level) => (isThere(level) ? values[next++] : undefined));
}

function readValues(
  bytes: Uint8Array,
  encoding: unknown,
  leaf: Leaf,
  rows: number,
  dictionary: readonly Value[],
): Value[] {
  switch (encoding) {
    case ENCODING.plain:
      return readPlain(bytes, leaf.type, rows);
    case ENCODING.plainDictionary:
    case ENCODING.dictionary:
      return Array.from(readHybrid(bytes.subarray(1), bytes[0] ?? 0, rows), (index) => {
        const value = dictionary[index];
        if (value === undefined) throw invalidArgument('a page asks for what its dictionary lacks');
        return value;
      });
    case ENCODING.delta:
      return readDelta(bytes, rows).values;
    case ENCODING.deltaLengths:
      return readDeltaLengths(bytes, rows);
    default:
      throw invalidArgument(
        `${leaf.path} has the encoding ${String(encoding)}, which is not read: write it anew`,
      );
  }
}

/** By Parquet's number of the codec. */
function decompress(codec: number, bytes: Uint8Array, size: number): Uint8Array {
  if (!(size >= 0 && size <= MAX_PAGE && size <= Math.max(SMALL_PAGE, MAX_RATIO * bytes.length))) {
    throw invalidArgument(`a page of ${size} bytes is impossible`);
  }
  switch (codec) {
    case 0:
      return bytes;
    case 1:
      return decompressSnappy(bytes, size);
    case 2:
      return asBytes(gunzipSync(bytes, { maxOutputLength: Math.max(1, size) }));
    case 4:
      return asBytes(brotliDecompressSync(bytes, { maxOutputLength: Math.max(1, size) }));
    case 6:
      return decompressZstd(bytes, new Uint8Array(size));
    case 7:
      return decompressLz4Raw(bytes, size);
    default:
      throw invalidArgument(`the codec ${codec} is not read: compress it with Snappy or Zstandard`);
  }
}

function bitsFor(level: number): number {
  return 32 - Math.clz32(level);
}

function append<T>(values: T[], more: readonly T[]): void {
  for (const value of more) values.push(value);
}
