import { invalidArgument } from '../../core/errors.ts';

/** What images and labels are made of. */
export type Value = number | Uint8Array;

/** Parquet's numbers for the types that are read. */
export const INT32 = 1;
export const INT64 = 2;
export const BYTE_ARRAY = 6;

/** Values one after the other: integers little-endian, bytes behind their length of 32 bits. */
export function readPlain(bytes: Uint8Array, type: number, count: number): Value[] {
  const view = viewOf(bytes);
  if (type === INT32 || type === INT64) {
    const size = type === INT32 ? 4 : 8;
    if (count * size > bytes.length) throw tooShort();
    return Array.from({ length: count }, (_, i) =>
      type === INT32 ? view.getInt32(4 * i, true) : Number(view.getBigInt64(8 * i, true)),
    );
  }
  if (type !== BYTE_ARRAY) throw invalidArgument(`its type ${type} holds neither images nor labels`);
  if (count * 4 > bytes.length) throw tooShort();
  const values: Uint8Array[] = [];
  let at = 0;
  for (let i = 0; i < count; i++) {
    if (at + 4 > bytes.length) throw tooShort();
    const length = view.getUint32(at, true);
    at += 4;
    if (length > bytes.length - at) throw tooShort();
    values.push(bytes.subarray(at, at + length));
    at += length;
  }
  return values;
}

/**
 * Runs of equal numbers, and groups of eight packed numbers. A run's header, a varint, is twice its length, or twice
 * the number of groups and one.
 */
export function readHybrid(bytes: Uint8Array, bits: number, count: number): Uint32Array {
  if (bits > 32) throw invalidArgument(`numbers of ${bits} bits are impossible`);
  const out = new Uint32Array(count);
  const width = Math.ceil(bits / 8);
  let at = 0;
  for (let filled = 0; filled < count;) {
    const header = readVarint(bytes, at);
    at = header.end;
    const length = Math.floor(header.value / 2);
    if (length === 0) throw tooShort(); // a run of nothing: damaged, and without it there is no end
    if (header.value % 2 === 0) {
      if (at + width > bytes.length) throw tooShort();
      const end = Math.min(count, filled + length);
      out.fill(readBits(bytes, at * 8, bits), filled, end);
      filled = end;
      at += width;
    } else {
      const end = Math.min(count, filled + 8 * length);
      for (let bit = at * 8; filled < end; bit += bits) {
        if (bit + bits > bytes.length * 8) throw tooShort();
        out[filled++] = readBits(bytes, bit, bits);
      }
      at += length * bits;
    }
  }
  return out;
}

/**
 * Differences to the number before (DELTA_BINARY_PACKED): block size, miniblocks a block, number of values, first value;
 * then a block's least difference, the bits of its miniblocks, and what the differences exceed the least by.
 */
export function readDelta(bytes: Uint8Array, most: number): { values: number[]; end: number } {
  let at = 0;
  const next = (): number => {
    const { value, end } = readVarint(bytes, at);
    at = end;
    return value;
  };
  const signed = (): number => {
    const value = next();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  };
  const [block, miniblocks, count] = [next(), next(), next()];
  let value = signed();
  const size = block / miniblocks;
  if (count > most || !(Number.isInteger(size) && size > 0 && size % 8 === 0)) throw tooShort();
  const values = count > 0 ? [value] : [];
  while (values.length < count) {
    const least = signed();
    const widths = bytes.subarray(at, at + miniblocks);
    at += miniblocks;
    if (at > bytes.length) throw tooShort();
    for (const bits of widths) {
      if (values.length >= count) break;
      if (bits > 64 || at + (size * bits) / 8 > bytes.length) throw tooShort();
      for (let i = 0; i < size && values.length < count; i++) {
        value += least + readBits(bytes, at * 8 + i * bits, bits);
        values.push(value);
      }
      at += (size * bits) / 8;
    }
  }
  return { values, end: at };
}

/** Byte arrays as their lengths, in differences, then all bytes (DELTA_LENGTH_BYTE_ARRAY). */
export function readDeltaLengths(bytes: Uint8Array, count: number): Uint8Array[] {
  const { values, end } = readDelta(bytes, count);
  let at = end;
  return values.map((length) => {
    if (!(length >= 0 && length <= bytes.length - at)) throw tooShort();
    at += length;
    return bytes.subarray(at - length, at);
  });
}

/** A number of `count` bits, the lowest first. */
function readBits(bytes: Uint8Array, bit: number, count: number): number {
  let value = 0;
  for (let done = 0; done < count;) {
    const at = bit + done;
    const taken = Math.min(8 - (at & 7), count - done);
    value += (((bytes[at >> 3] ?? 0) >> (at & 7)) & ((1 << taken) - 1)) * 2 ** done;
    done += taken;
  }
  return value;
}

function readVarint(bytes: Uint8Array, start: number): { value: number; end: number } {
  let value = 0;
  for (let at = start, scale = 1; scale <= 2 ** 63; scale *= 128) {
    const byte = bytes[at++];
    if (byte === undefined) break;
    value += (byte & 127) * scale;
    if (byte < 128) return { value, end: at };
  }
  throw tooShort();
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

function tooShort(): Error {
  return invalidArgument('a page is damaged');
}
