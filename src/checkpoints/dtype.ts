import { float16ToFloat32, float32ToBfloat16, float32ToFloat16, bfloat16ToFloat32 } from './half.ts';

/** Number formats in checkpoints. */
export type DType =
  'float64' | 'float32' | 'float16' | 'bfloat16' | 'int64' | 'int32' | 'int16' | 'int8' | 'uint8' | 'bool';

/** Bytes of one number. */
export const DTYPE_BYTES: Readonly<Record<DType, number>> = {
  float64: 8,
  float32: 4,
  float16: 2,
  bfloat16: 2,
  int64: 8,
  int32: 4,
  int16: 2,
  int8: 1,
  uint8: 1,
  bool: 1,
};

/** Whether values may be NaN or infinite. */
export function isFloating(dtype: DType): boolean {
  return dtype === 'float64' || dtype === 'float32' || dtype === 'float16' || dtype === 'bfloat16';
}

/**
 * Numbers as float32. `bytes` is taken over: little-endian float32 at the start of a buffer, or elsewhere at a
 * multiple of 4, is looked at and not copied. Other formats are rounded to nearest; int64 and float64 beyond
 * float32's range become infinite.
 */
export function toFloat32(bytes: Uint8Array, dtype: DType, littleEndian = true): Float32Array {
  const length = bytes.byteLength / DTYPE_BYTES[dtype];
  const native = littleEndian === HOST_IS_LITTLE_ENDIAN ? bytes : swapBytes(bytes, DTYPE_BYTES[dtype]);
  const { buffer, byteOffset } = aligned(native, DTYPE_BYTES[dtype]);
  switch (dtype) {
    case 'float32':
      return new Float32Array(buffer, byteOffset, length);
    case 'float64':
      return new Float32Array(new Float64Array(buffer, byteOffset, length));
    case 'float16':
      return float16ToFloat32(new Uint16Array(buffer, byteOffset, length));
    case 'bfloat16':
      return bfloat16ToFloat32(new Uint16Array(buffer, byteOffset, length));
    case 'int64':
      return int64ToFloat32(new BigInt64Array(buffer, byteOffset, length));
    case 'int32':
      return new Float32Array(new Int32Array(buffer, byteOffset, length));
    case 'int16':
      return new Float32Array(new Int16Array(buffer, byteOffset, length));
    case 'int8':
      return new Float32Array(new Int8Array(buffer, byteOffset, length));
    case 'uint8':
      return new Float32Array(new Uint8Array(buffer, byteOffset, length));
    case 'bool':
      return new Float32Array(
        new Uint8Array(buffer, byteOffset, length).map((value) => (value === 0 ? 0 : 1)),
      );
  }
}

/**
 * The little-endian bytes of numbers; float32 is looked at, not copied. Narrower floats are rounded to nearest, ties to
 * even; integers to nearest, and must be in range.
 */
export function fromFloat32(values: Float32Array, dtype: DType): Uint8Array {
  const stored = storedNumbers(values, dtype);
  const bytes = new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength);
  return HOST_IS_LITTLE_ENDIAN ? bytes : swapBytes(bytes, DTYPE_BYTES[dtype]);
}

function storedNumbers(values: Float32Array, dtype: DType): ArrayBufferView {
  switch (dtype) {
    case 'float64':
      return new Float64Array(values);
    case 'float32':
      return values;
    case 'float16':
      return float32ToFloat16(values);
    case 'bfloat16':
      return float32ToBfloat16(values);
    case 'int64':
      return BigInt64Array.from(values, (value) => (Number.isFinite(value) ? BigInt(Math.round(value)) : 0n));
    case 'int32':
      return Int32Array.from(values, Math.round);
    case 'int16':
      return Int16Array.from(values, Math.round);
    case 'int8':
      return Int8Array.from(values, Math.round);
    case 'uint8':
      return Uint8Array.from(values, Math.round);
    case 'bool':
      return Uint8Array.from(values, (value) => (value === 0 ? 0 : 1));
  }
}

const HOST_IS_LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

function int64ToFloat32(values: BigInt64Array): Float32Array {
  const out = new Float32Array(values.length);
  // 2^53 and beyond, Number() and the store round one after the other: at most 1 + 2^-28 half units off.
  values.forEach((value, i) => (out[i] = Number(value)));
  return out;
}

/** The same bytes where a typed array of `size`-byte numbers may start. */
function aligned(bytes: Uint8Array, size: number): Uint8Array {
  return bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes);
}

/** The same numbers of `size` bytes in the other byte order. */
export function swapBytes(bytes: Uint8Array, size: number): Uint8Array {
  const out = new Uint8Array(bytes.byteLength);
  for (let start = 0; start < out.length; start += size) {
    for (let i = 0; i < size; i++) out[start + i] = bytes[start + size - 1 - i] ?? 0;
  }
  return out;
}
