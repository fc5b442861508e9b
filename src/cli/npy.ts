import { DTYPE_BYTES, fromFloat32, toFloat32 } from '../checkpoints/dtype.ts';
import type { DType } from '../checkpoints/dtype.ts';
import { invalidArgument } from '../core/errors.ts';

/** An array as NumPy saves it, as float32 and in C order. */
export interface NpyArray {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/**
 * The format (numpy.lib.format): `\x93NUMPY`, major and minor version, the length of the header (16 bits, from
 * version 2 on 32, little-endian), the header, the numbers. The header is a Python dictionary such as
 * `{'descr': '<f4', 'fortran_order': False, 'shape': (1, 224, 224, 3), }`.
 */
const MAGIC = '\x93NUMPY';

/** NumPy itself refuses longer ones unless it is told to trust the file. */
const MAX_HEADER_BYTES = 10_000;
const MAX_RANK = 32;
/** Headers are padded so that the numbers start at a multiple of this. */
const ALIGNMENT = 64;

const DTYPES: ReadonlyMap<string, DType> = new Map([
  ['f4', 'float32'],
  ['f8', 'float64'],
  ['f2', 'float16'],
]);

interface Header {
  readonly dtype: DType;
  readonly littleEndian: boolean;
  readonly fortranOrder: boolean;
  readonly shape: readonly number[];
  /** Where the numbers start. */
  readonly start: number;
}

/**
 * Reads an array of float32, float64 or float16, in C or Fortran order and either byte order.
 *
 * @param name what to call the file in messages
 * Throws `invalid-argument` if it is no such file, is damaged, or holds other numbers.
 */
export function decodeNpy(bytes: Uint8Array, name: string): NpyArray {
  const { dtype, littleEndian, fortranOrder, shape, start } = parseHeader(bytes, name);
  const count = shape.reduce((a, b) => a * b, 1);
  const available = bytes.byteLength - start;
  if (count * DTYPE_BYTES[dtype] !== available) {
    throw invalidArgument(
      `${name} should hold ${count * DTYPE_BYTES[dtype]} bytes of numbers for its shape [${shape.join(', ')}], ` +
        `but holds ${available}: save it again.`,
    );
  }
  // A copy at the start of its own buffer, because toFloat32 takes bytes over.
  const values = toFloat32(bytes.slice(start), dtype, littleEndian);
  return { shape, values: fortranOrder ? fromFortranOrder(values, shape) : values };
}

/** The bytes of a .npy file, version 1.0, little-endian float32 in C order. */
export function encodeNpy({ shape, values }: NpyArray): Uint8Array {
  const tuple = shape.length === 1 ? `${shape[0] ?? 0},` : shape.join(', ');
  const dictionary = `{'descr': '<f4', 'fortran_order': False, 'shape': (${tuple}), }`;
  const unpadded = MAGIC.length + 4 + dictionary.length + 1;
  const start = Math.ceil(unpadded / ALIGNMENT) * ALIGNMENT;
  const header = `${MAGIC}\x01\0\0\0${dictionary}${' '.repeat(start - unpadded)}\n`;
  const numbers = fromFloat32(values, 'float32');
  const bytes = new Uint8Array(start + numbers.byteLength);
  for (let i = 0; i < start; i++) bytes[i] = header.charCodeAt(i);
  new DataView(bytes.buffer).setUint16(MAGIC.length + 2, start - MAGIC.length - 4, true);
  bytes.set(numbers, start);
  return bytes;
}

function parseHeader(bytes: Uint8Array, name: string): Header {
  const damaged = (reason: string): Error =>
    invalidArgument(`${name} is not a NumPy file that Widefield reads (${reason}): save it with numpy.save.`);
  if (latin1(bytes.subarray(0, MAGIC.length)) !== MAGIC) throw damaged('it does not start with \\x93NUMPY');
  const major = bytes[MAGIC.length] ?? 0;
  const lengthBytes = major === 1 ? 2 : 4;
  const headerStart = MAGIC.length + 2 + lengthBytes;
  if (major < 1 || major > 3 || bytes.byteLength < headerStart) throw damaged('unknown version');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length =
    lengthBytes === 2 ? view.getUint16(MAGIC.length + 2, true) : view.getUint32(MAGIC.length + 2, true);
  const start = headerStart + length;
  if (length > MAX_HEADER_BYTES || start > bytes.byteLength) throw damaged('its header does not fit');
  const fields = parseDictionary(latin1(bytes.subarray(headerStart, start)));
  if (fields === undefined) throw damaged('its header is not as NumPy writes it');
  const { descr, fortranOrder, shape } = fields;
  const dtype = DTYPES.get(descr.slice(1));
  if (dtype === undefined || !/^[<>=|]/.test(descr)) {
    throw invalidArgument(`${name} holds numbers of type ${descr}: convert them with .astype('float32').`);
  }
  return { dtype, littleEndian: !descr.startsWith('>'), fortranOrder, shape, start };
}

/** The three entries, in any order, each once; nothing else is accepted. */
function parseDictionary(
  text: string,
): { readonly descr: string; readonly fortranOrder: boolean; readonly shape: readonly number[] } | undefined {
  const body = /^\{([^{}]*)\}\s*$/.exec(text)?.[1];
  if (body === undefined) return undefined;
  const entry = /\s*['"](\w+)['"]\s*:\s*(?:['"]([^'"]*)['"]|(True|False)|\(([\d\s,]*)\))\s*(?:,|$)/y;
  let descr: string | undefined;
  let fortranOrder: boolean | undefined;
  let shape: readonly number[] | undefined;
  let end = 0;
  for (let match = entry.exec(body); match !== null; match = entry.exec(body)) {
    end = entry.lastIndex;
    const [, key, string, boolean, tuple] = match;
    if (key === 'descr' && descr === undefined) descr = string;
    else if (key === 'fortran_order' && fortranOrder === undefined && boolean)
      fortranOrder = boolean === 'True';
    else if (key === 'shape' && shape === undefined && tuple !== undefined) shape = parseTuple(tuple);
    else return undefined;
  }
  if (descr === undefined || fortranOrder === undefined || shape === undefined) return undefined;
  return body.slice(end).trim() === '' ? { descr, fortranOrder, shape } : undefined;
}

/** `1, 224, 224, 3` or `5,`; undefined if malformed or absurd. */
function parseTuple(text: string): readonly number[] | undefined {
  const parts = text.split(',').map((part) => part.trim());
  if (parts.at(-1) === '') parts.pop();
  const extents = parts.map(Number);
  const sensible = parts.every((part) => /^\d+$/.test(part)) && extents.length <= MAX_RANK;
  const count = extents.reduce((a, b) => a * b, 1);
  return sensible && Number.isSafeInteger(count * 8) ? extents : undefined;
}

/** Values whose first axis runs fastest, in the order in which the last one does. */
function fromFortranOrder(values: Float32Array, shape: readonly number[]): Float32Array {
  const strides: number[] = [];
  shape.reduce((stride, extent) => {
    strides.push(stride);
    return stride * extent;
  }, 1);
  const out = new Float32Array(values.length);
  const index = shape.map(() => 0);
  let from = 0;
  for (let to = 0; to < out.length; to++) {
    out[to] = values[from] ?? 0;
    // Count up, like the digits of an odometer, from the last axis.
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const extent = shape[axis] ?? 1;
      const stride = strides[axis] ?? 0;
      const next = (index[axis] ?? 0) + 1;
      from += stride;
      index[axis] = next;
      if (next < extent) break;
      from -= extent * stride;
      index[axis] = 0;
    }
  }
  return out;
}

function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}
