import { invalidArgument } from '../../core/errors.ts';

/** A value of Thrift's compact protocol. Integers beyond 2^53 lose their last bits; none of a sound file has that many. */
export type ThriftValue = number | boolean | Uint8Array | readonly ThriftValue[] | ThriftStruct;

/** Fields by their numbers. */
export type ThriftStruct = ReadonlyMap<number, ThriftValue>;

const MAX_DEPTH = 32;
/** Values in memory are much larger than in a file. Files of 10,000 row groups have some 10^5. */
const MAX_VALUES = 2 ** 20;

/** Types of the protocol. */
const [TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET] = [
  1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
] as const;
const STRUCT = 12;

/**
 * Reads the struct that begins at `start`; also tells where it ends.
 *
 * Throws `invalid-argument` for anything that is none: nothing is larger than the bytes that are there; and for more than
 * 2^20 values.
 */
export function readThrift(bytes: Uint8Array, start = 0): { value: ThriftStruct; end: number } {
  const reader = new ThriftReader(bytes, start);
  const value = reader.struct(0);
  return { value, end: reader.at };
}

class ThriftReader {
  at: number;
  readonly #bytes: Uint8Array;
  #values = 0;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  struct(depth: number): ThriftStruct {
    if (depth > MAX_DEPTH) throw damaged();
    const fields = new Map<number, ThriftValue>();
    for (let id = 0; ;) {
      const head = this.#byte();
      const type = head & 15;
      if (type === 0) return fields;
      id = head >> 4 === 0 ? this.#zigzag() : id + (head >> 4);
      fields.set(id, type === TRUE ? true : type === FALSE ? false : this.#value(type, depth));
    }
  }

  #value(type: number, depth: number): ThriftValue {
    if (++this.#values > MAX_VALUES) throw damaged();
    switch (type) {
      case TRUE:
      case FALSE:
        return this.#byte() === 1; // in lists
      case BYTE:
        return this.#byte();
      case I16:
      case I32:
      case I64:
        return this.#zigzag();
      case DOUBLE:
        return this.#binary(8);
      case BINARY:
        return this.#binary(this.#varint());
      case LIST:
      case SET:
        return this.#list(depth);
      case STRUCT:
        return this.struct(depth + 1);
      default:
        throw damaged();
    }
  }

  #list(depth: number): ThriftValue[] {
    const head = this.#byte();
    const length = head >> 4 === 15 ? this.#varint() : head >> 4;
    // Every element has a byte at least.
    if (length > this.#bytes.length - this.at || depth > MAX_DEPTH) throw damaged();
    return Array.from({ length }, () => this.#value(head & 15, depth + 1));
  }

  #binary(length: number): Uint8Array {
    if (!(length <= this.#bytes.length - this.at)) throw damaged();
    this.at += length;
    return this.#bytes.subarray(this.at - length, this.at);
  }

  #byte(): number {
    const byte = this.#bytes[this.at++];
    if (byte === undefined) throw damaged();
    return byte;
  }

  /** Seven bits a byte, the lowest first. */
  #varint(): number {
    let value = 0;
    for (let scale = 1; scale <= 2 ** 63; scale *= 128) {
      const byte = this.#byte();
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
    throw damaged();
  }

  /** 0, −1, 1, −2, … */
  #zigzag(): number {
    const value = this.#varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }
}

function damaged(): Error {
  return invalidArgument('its metadata are damaged');
}
