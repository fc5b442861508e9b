import type { ByteSource } from '../checkpoints/byte-source.ts';
import { invalidArgument, throwIfAborted } from '../core/errors.ts';

const BLOCK = 512;
/** Small files and the header behind them come with one read. */
const WINDOW = 4096;
/** Names in extended headers are longer than paths may be only if a file is damaged. */
const MAX_EXTENSION = 2 ** 16;

/** A regular file in an archive. */
export interface TarEntry {
  readonly name: string;
  /** Where its bytes begin. */
  readonly offset: number;
  readonly size: number;
}

/**
 * The files of a tar archive (ustar, GNU and pax names), one after the other, by reading its headers alone.
 *
 * Throws `invalid-argument` where the archive is damaged or ends too early.
 */
export async function* scanTar(
  source: ByteSource,
  signal?: AbortSignal,
): AsyncGenerator<TarEntry, void, void> {
  const read = windowed(source);
  let longName: string | undefined;
  let longSize: number | undefined;
  for (let position = 0; position < source.size;) {
    throwIfAborted(signal);
    if (position + BLOCK > source.size) throw damaged(source, position, 'it ends within a header');
    const header = await read(position, BLOCK);
    if (header.every((byte) => byte === 0)) return; // the end; what follows is padding
    checkHeader(source, position, header);
    const type = String.fromCharCode(header[156] ?? 0);
    const offset = position + BLOCK;
    const ownSize = type === 'x' || type === 'L' ? undefined : longSize;
    const size = ownSize ?? readNumber(header.subarray(124, 136));
    const next = offset + Math.ceil(size / BLOCK) * BLOCK;
    if (!(Number.isSafeInteger(size) && size >= 0) || offset + size > source.size) {
      throw damaged(source, position, 'a file reaches beyond its end');
    }
    if (type === 'L' || type === 'x' || type === 'g' || type === 'K') {
      if (size > MAX_EXTENSION) throw damaged(source, position, 'an extended header is too long');
      if (type === 'L') longName = text(await read(offset, size));
      if (type === 'x') {
        const records = readPax(await read(offset, size));
        longName = records.get('path') ?? longName;
        longSize = records.has('size') ? Number(records.get('size')) : longSize;
      }
    } else {
      if (type === '0' || type === '\0' || type === '7')
        yield { name: longName ?? readName(header), offset, size };
      longName = undefined;
      longSize = undefined;
    }
    position = next;
  }
}

/** Whether these bytes begin a tar archive. */
export function isTar(head: Uint8Array): boolean {
  return head.length >= BLOCK && checksumFits(head.subarray(0, BLOCK));
}

/** Reads a few bytes at a time, several out of one piece. */
export function windowed(source: ByteSource): (offset: number, length: number) => Promise<Uint8Array> {
  let start = 0;
  let bytes: Uint8Array = new Uint8Array(0);
  return async (offset, length) => {
    if (offset < start || offset + length > start + bytes.length) {
      start = offset;
      bytes = await source.read(offset, Math.min(Math.max(length, WINDOW), source.size - offset));
    }
    return bytes.subarray(offset - start, offset - start + length);
  };
}

function checkHeader(source: ByteSource, position: number, header: Uint8Array): void {
  if (!checksumFits(header)) throw damaged(source, position, 'a header has a wrong checksum');
}

/** The sum of all bytes, those of the checksum itself taken for spaces. */
function checksumFits(header: Uint8Array): boolean {
  let sum = 0;
  for (let i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? 0x20 : (header[i] ?? 0);
  return sum > 8 * 0x20 && sum === readNumber(header.subarray(148, 156));
}

/** Octal digits, or a big-endian number behind a byte of 0x80. */
function readNumber(field: Uint8Array): number {
  if ((field[0] ?? 0) === 0x80) return field.subarray(1).reduce((value, byte) => value * 256 + byte, 0);
  const digits = text(field).trim();
  return /^[0-7]+$/.test(digits) ? parseInt(digits, 8) : digits === '' ? 0 : NaN;
}

function readName(header: Uint8Array): string {
  const name = text(header.subarray(0, 100));
  const isUstar = text(header.subarray(257, 262)) === 'ustar' && header[262] === 0;
  const prefix = isUstar ? text(header.subarray(345, 500)) : '';
  return prefix === '' ? name : `${prefix}/${name}`;
}

/** Text up to its zero byte. */
function text(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}

/** Records `length key=value\n`; the length, in decimal digits, counts all of it. */
function readPax(bytes: Uint8Array): Map<string, string> {
  const records = new Map<string, string>();
  for (let start = 0; start < bytes.length;) {
    const space = bytes.indexOf(0x20, start);
    const length = space < 0 ? NaN : Number(new TextDecoder().decode(bytes.subarray(start, space)));
    if (!(Number.isInteger(length) && length > space - start && start + length <= bytes.length)) break;
    const record = new TextDecoder().decode(bytes.subarray(space + 1, start + length - 1));
    const equals = record.indexOf('=');
    if (equals > 0) records.set(record.slice(0, equals), record.slice(equals + 1));
    start += length;
  }
  return records;
}

function damaged(source: ByteSource, position: number, reason: string): Error {
  return invalidArgument(`${source.name} is damaged at byte ${position} (${reason}): get an intact copy.`);
}
