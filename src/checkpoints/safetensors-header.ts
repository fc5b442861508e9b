import { WidefieldError, invalidArgument } from '../core/errors.ts';
import { DTYPE_BYTES } from './dtype.ts';
import type { DType } from './dtype.ts';
import type { TensorEntry } from './source.ts';
import { printable, shapeText } from './text.ts';

/** The format's own limit on its header. */
export const MAX_HEADER_BYTES = 100_000_000;

/** Names of number formats in safetensors. */
export const SAFETENSORS_DTYPES: ReadonlyMap<string, DType> = new Map<string, DType>([
  ['F64', 'float64'],
  ['F32', 'float32'],
  ['F16', 'float16'],
  ['BF16', 'bfloat16'],
  ['I64', 'int64'],
  ['I32', 'int32'],
  ['I16', 'int16'],
  ['I8', 'int8'],
  ['U8', 'uint8'],
  ['BOOL', 'bool'],
]);

/** A tensor and where its bytes are, counted from the end of the header. */
export interface LocatedTensor extends TensorEntry {
  readonly begin: number;
  readonly end: number;
}

/**
 * Parses the JSON header of a safetensors file whose tensors take `dataBytes`. Throws `invalid-argument` unless every
 * key occurs once, every tensor's shape and format agree with its bytes, and the tensors cover the data exactly:
 * no overlap, no gap, nothing out of range.
 */
export function parseHeader(text: string, dataBytes: number, name: string): Map<string, LocatedTensor> {
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch (error) {
    const reason = printable(error instanceof Error ? error.message : String(error));
    throw damaged(name, `its header is not JSON (${reason})`);
  }
  if (!isObject(header)) throw damaged(name, 'its header is not a JSON object');
  // JSON.parse keeps the last of equal keys without a word; a file that says two things must not be half believed.
  if (countMembers(header) !== countColons(text)) throw damaged(name, 'its header has a key twice');
  const tensors = new Map<string, LocatedTensor>();
  for (const [key, value] of Object.entries(header)) {
    if (key !== '__metadata__') tensors.set(key, parseTensor(key, value, name));
  }
  checkCover(tensors, dataBytes, name);
  return tensors;
}

function parseTensor(key: string, value: unknown, name: string): LocatedTensor {
  const { dtype: code, shape, data_offsets: offsets } = isObject(value) ? value : {};
  if (typeof code !== 'string' || !isCounts(shape) || !isCounts(offsets) || offsets.length !== 2) {
    throw damaged(name, `its entry for ${printable(key)} makes no sense`);
  }
  const dtype = SAFETENSORS_DTYPES.get(code);
  if (dtype === undefined) {
    throw new WidefieldError(
      'unsupported',
      `${name} has the tensor ${printable(key)} in the format ${printable(code, 20)}: ` +
        'save it as F32, F16 or BF16.',
    );
  }
  const [begin = 0, end = 0] = offsets;
  // A product past 2^53 is rounded, and still no size that fits a file.
  const bytes = shape.reduce((a, b) => a * b, DTYPE_BYTES[dtype]);
  if (end - begin !== bytes) {
    throw damaged(
      name,
      `${printable(key)} of shape ${shapeText(shape)} has ${end - begin} bytes instead of ${bytes}`,
    );
  }
  return { dtype, shape, begin, end };
}

function checkCover(tensors: ReadonlyMap<string, LocatedTensor>, dataBytes: number, name: string): void {
  let position = 0;
  const ordered = [...tensors].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  for (const [key, { begin, end }] of ordered) {
    if (begin < position) throw damaged(name, `${printable(key)} overlaps another tensor`);
    if (begin > position) throw damaged(name, `there is a gap before ${printable(key)}`);
    position = end;
    if (end > dataBytes) throw damaged(name, `${printable(key)} reaches beyond the end of the file`);
  }
  if (position !== dataBytes)
    throw damaged(name, `${dataBytes - position} bytes at its end belong to no tensor`);
}

/** Members of all objects. The header's nesting is bounded by what tensors and metadata may be. */
function countMembers(value: unknown, depth = 0): number {
  if (!isObject(value) || depth > 3) return 0;
  return Object.values(value).reduce<number>((sum, member) => sum + 1 + countMembers(member, depth + 1), 0);
}

/** Colons outside of strings in valid JSON: one for each member as written. */
function countColons(text: string): number {
  let count = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === 0x22) quoted = !quoted;
    else if (quoted && c === 0x5c) i++;
    else if (!quoted && c === 0x3a) count++;
  }
  return count;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCounts(value: unknown): value is number[] {
  return (
    Array.isArray(value) &&
    value.length <= 32 &&
    value.every((count) => typeof count === 'number' && Number.isSafeInteger(count) && count >= 0)
  );
}

function damaged(name: string, what: string): WidefieldError {
  return invalidArgument(`${name} is a damaged safetensors file: ${what}; download or save it again.`);
}
