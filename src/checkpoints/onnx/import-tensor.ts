import { WidefieldError, invalidArgument } from '../../core/errors.ts';
import { elements } from '../../graph/graph.ts';
import { bfloat16ToFloat32, float16ToFloat32 } from '../half.ts';
import { printable, shapeText } from '../text.ts';
import type { ProtoTensor } from './import-proto.ts';

/** Reads bytes of a file that lies beside the model. */
export type ReadExternal = (location: string, offset: number, length: number) => Promise<Uint8Array>;

/** Element types by `TensorProto.DataType`: bytes of one, and how many little-endian ones become numbers. */
const TYPES: Readonly<Record<number, { bytes: number; read: (buffer: ArrayBuffer) => ArrayLike<number> }>> = {
  1: { bytes: 4, read: (buffer) => new Float32Array(buffer) },
  2: { bytes: 1, read: (buffer) => new Uint8Array(buffer) },
  3: { bytes: 1, read: (buffer) => new Int8Array(buffer) },
  4: { bytes: 2, read: (buffer) => new Uint16Array(buffer) },
  5: { bytes: 2, read: (buffer) => new Int16Array(buffer) },
  6: { bytes: 4, read: (buffer) => new Int32Array(buffer) },
  7: { bytes: 8, read: (buffer) => Array.from(new BigInt64Array(buffer), Number) },
  9: { bytes: 1, read: (buffer) => new Uint8Array(buffer) },
  10: { bytes: 2, read: (buffer) => float16ToFloat32(new Uint16Array(buffer)) },
  11: { bytes: 8, read: (buffer) => new Float64Array(buffer) },
  12: { bytes: 4, read: (buffer) => new Uint32Array(buffer) },
  13: { bytes: 8, read: (buffer) => Array.from(new BigUint64Array(buffer), Number) },
  16: { bytes: 2, read: (buffer) => bfloat16ToFloat32(new Uint16Array(buffer)) },
};

/** Types whose single numbers are stored as bits. */
const HALF: Readonly<Record<number, (bits: Uint16Array) => Float32Array>> = {
  10: float16ToFloat32,
  16: bfloat16ToFloat32,
};

/** Whether numbers of a type are floating-point. */
export function isFloat(type: number): boolean {
  return type === 1 || type === 10 || type === 11 || type === 16;
}

/** The numbers of a tensor that is in the model; undefined if they are in another file. Throws `invalid-argument`. */
export function inlineNumbers(tensor: ProtoTensor): ArrayLike<number> | undefined {
  const { data, type, shape } = tensor;
  if ('location' in data) return undefined;
  if ('raw' in data) return decode(tensor, data.raw);
  typeOf(tensor);
  const half = HALF[type];
  const numbers = half === undefined ? data.numbers : half(Uint16Array.from(data.numbers));
  if (numbers.length !== elements(shape)) throw wrongLength(tensor);
  return numbers;
}

/** The numbers of any tensor. Throws `invalid-argument`, and what `readExternal` throws. */
export async function readNumbers(
  tensor: ProtoTensor,
  readExternal: ReadExternal | undefined,
): Promise<ArrayLike<number>> {
  const { data, name } = tensor;
  if (!('location' in data)) return inlineNumbers(tensor) ?? [];
  if (readExternal === undefined) {
    throw new WidefieldError(
      'unsupported',
      `The values of ${printable(name)} are in the file ${printable(data.location)} beside the ONNX file: open it by its path.`,
    );
  }
  const wanted = elements(tensor.shape) * typeOf(tensor).bytes;
  if (data.length !== undefined && data.length !== wanted) throw wrongLength(tensor);
  return decode(tensor, await readExternal(data.location, data.offset, wanted));
}

function decode(tensor: ProtoTensor, bytes: Uint8Array): ArrayLike<number> {
  const type = typeOf(tensor);
  if (bytes.length !== elements(tensor.shape) * type.bytes) throw wrongLength(tensor);
  // A copy of its own, because bytes of a message need not lie at a multiple of an element's size.
  return type.read(Uint8Array.from(bytes).buffer);
}

function typeOf({ name, type }: ProtoTensor): {
  bytes: number;
  read: (buffer: ArrayBuffer) => ArrayLike<number>;
} {
  const known = TYPES[type];
  if (known !== undefined) return known;
  throw new WidefieldError(
    'unsupported',
    `The tensor ${printable(name)} of the ONNX file has the element type ${type}, which Widefield cannot read: export it as float32.`,
  );
}

function wrongLength({ name, shape }: ProtoTensor): WidefieldError {
  return invalidArgument(
    `The tensor ${printable(name)} of the ONNX file does not have the values of its shape ${shapeText(shape)}: export it again.`,
  );
}
