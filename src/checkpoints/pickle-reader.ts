import { WidefieldError, invalidArgument } from '../core/errors.ts';

/** Thrown where bytes end within a pickle; those who hold more bytes may try again with them. */
export class PickleEnded extends WidefieldError {
  constructor(name: string) {
    super('invalid-argument', `${name} ends within a pickle: download or save it again.`);
  }
}

/** Longest line of the textual opcodes, in bytes. */
const MAX_LINE = 2 ** 16;
/** Characters that one call makes; calls take some 10^5 arguments. */
const LATIN1_PIECE = 2 ** 13;
/** Largest integer, in bytes: nothing in a checkpoint needs more than 16. */
const MAX_INTEGER_BYTES = 256;

/** Takes the operands of pickle opcodes from bytes, in order. */
export class PickleReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #name: string;
  readonly #utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
  #position: number;

  constructor(bytes: Uint8Array, start: number, name: string) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#name = name;
    this.#position = start;
  }

  get position(): number {
    return this.#position;
  }

  uint8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  uint16(): number {
    return this.#view.getUint16(this.#advance(2), true);
  }

  int32(): number {
    return this.#view.getInt32(this.#advance(4), true);
  }

  uint32(): number {
    return this.#view.getUint32(this.#advance(4), true);
  }

  /** A length of 8 bytes. */
  uint64(): number {
    const value = this.#view.getBigUint64(this.#advance(8), true);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new PickleEnded(this.#name);
    return Number(value);
  }

  /** Pickles store floats big-endian. */
  float64(): number {
    return this.#view.getFloat64(this.#advance(8), false);
  }

  bytes(length: number): Uint8Array {
    const start = this.#advance(length);
    // A copy even of Node's Buffer, whose slice() would keep all of it alive.
    return new Uint8Array(this.#bytes.subarray(start, start + length));
  }

  utf8(length: number): string {
    const start = this.#advance(length);
    return this.#utf8.decode(this.#bytes.subarray(start, start + length));
  }

  /** Text of Python 2, or of a textual opcode: a byte a character. */
  latin1(length: number): string {
    const start = this.#advance(length);
    let text = '';
    // In pieces: a text that grows by single characters takes many bytes for each.
    for (let i = start; i < start + length; i += LATIN1_PIECE) {
      text += String.fromCharCode(...this.#bytes.subarray(i, Math.min(i + LATIN1_PIECE, start + length)));
    }
    return text;
  }

  /** A line without its end. */
  line(): string {
    const end = this.#bytes.indexOf(10, this.#position);
    const length = (end < 0 ? this.#bytes.length : end) - this.#position;
    if (length > MAX_LINE) throw this.damaged(`has a line of more than ${MAX_LINE} bytes`);
    if (end < 0) throw new PickleEnded(this.#name);
    const text = this.latin1(length);
    this.#advance(1);
    return text;
  }

  /** A two's-complement integer of `length` bytes; a number where that is exact. */
  integer(length: number): number | bigint {
    if (length > MAX_INTEGER_BYTES) throw this.damaged(`has an integer of ${length} bytes`);
    const bytes = this.bytes(length);
    let value = 0n;
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i] ?? 0);
    return narrow(BigInt.asIntN(8 * length, value));
  }

  /** A decimal integer, as the textual opcodes write it. */
  decimal(text: string): number | bigint {
    const digits = text.endsWith('L') ? text.slice(0, -1) : text;
    if (!/^[+-]?\d{1,600}$/.test(digits)) throw this.damaged('has an ill-formed integer');
    return narrow(BigInt(digits.replace(/^\+/, '')));
  }

  damaged(what: string): WidefieldError {
    return invalidArgument(
      `${this.#name} is damaged: its pickle ${what}, at byte ${this.#position}; download or save it again.`,
    );
  }

  #advance(count: number): number {
    const start = this.#position;
    if (count < 0) throw this.damaged('has a negative length');
    if (start + count > this.#bytes.length) throw new PickleEnded(this.#name);
    this.#position = start + count;
    return start;
  }
}

function narrow(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
