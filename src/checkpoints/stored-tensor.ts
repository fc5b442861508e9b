import { invalidArgument } from '../core/errors.ts';
import { DTYPE_BYTES, swapBytes, toFloat32 } from './dtype.ts';
import type { DType } from './dtype.ts';
import type { PickleStorage } from './pickle-value.ts';
import { shapeText } from './text.ts';

/** A PyTorch tensor: a strided look at numbers in a storage. Sizes are counted in numbers, not bytes. */
export class StoredTensor {
  readonly storage: PickleStorage;
  readonly dtype: DType;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];

  constructor(
    storage: PickleStorage,
    dtype: DType,
    offset: number,
    shape: readonly number[],
    strides: readonly number[],
  ) {
    this.storage = storage;
    this.dtype = dtype;
    this.offset = offset;
    this.shape = shape;
    this.strides = strides;
  }

  get size(): number {
    return this.shape.reduce((a, b) => a * b, 1);
  }

  /** From the first number that the tensor looks at to the last, both counted. */
  get span(): number {
    if (this.size === 0) return 0;
    return this.shape.reduce((last, extent, axis) => last + (extent - 1) * (this.strides[axis] ?? 0), 1);
  }

  /** Whether the numbers lie in C order, without gaps. */
  get contiguous(): boolean {
    let expected = 1;
    for (let axis = this.shape.length - 1; axis >= 0; axis--) {
      const extent = this.shape[axis] ?? 1;
      if (extent !== 1 && this.strides[axis] !== expected) return false;
      expected *= extent;
    }
    return true;
  }
}

/** Tensors that repeat their numbers (stride 0) may not be larger than this, unless their storage is. */
const MAX_REPEATED = 2 ** 24;
const MAX_RANK = 32;

/** Throws `invalid-argument` unless the tensor lies in its storage, which holds `length` numbers. */
export function checkTensor(tensor: StoredTensor, length: number, name: string): void {
  const { offset, shape, strides } = tensor;
  const counts = [offset, ...shape, ...strides];
  const wellFormed =
    shape.length === strides.length &&
    shape.length <= MAX_RANK &&
    counts.every((count) => Number.isSafeInteger(count) && count >= 0);
  // Sums and products may pass 2^53, but then they are rounded and still too large.
  if (!wellFormed || offset + tensor.span > length || tensor.size > Math.max(length, MAX_REPEATED)) {
    const what = shape.length > MAX_RANK ? `${shape.length} dimensions` : `shape ${shapeText(shape)}`;
    throw invalidArgument(
      `${name} is damaged: a tensor of ${what} does not fit its storage of ${length} numbers; ` +
        'download or save it again.',
    );
  }
}

/**
 * A tensor's values as float32, in C order. `readRange(start, count)` gives the bytes of numbers of its storage, in a
 * new array.
 */
export async function readTensor(
  tensor: StoredTensor,
  littleEndian: boolean,
  readRange: (startByte: number, bytes: number) => Promise<Uint8Array>,
): Promise<Float32Array> {
  const values = toFloat32(await readSpan(tensor, readRange), tensor.dtype, littleEndian);
  if (tensor.contiguous || tensor.size === 0) return values;
  return gather(values, tensor, new Float32Array(tensor.size));
}

/** A tensor's numbers as they are stored, but little-endian and in C order; see {@link readTensor}. */
export async function readTensorBytes(
  tensor: StoredTensor,
  littleEndian: boolean,
  readRange: (startByte: number, bytes: number) => Promise<Uint8Array>,
): Promise<Uint8Array> {
  const size = DTYPE_BYTES[tensor.dtype];
  const span = await readSpan(tensor, readRange);
  const bytes = littleEndian ? span : swapBytes(span, size);
  if (tensor.contiguous || tensor.size === 0) return bytes;
  const positions = Float64Array.from({ length: tensor.span }, (_, position) => position);
  const out = new Uint8Array(tensor.size * size);
  gather(positions, tensor, new Float64Array(tensor.size)).forEach((position, i) => {
    out.set(bytes.subarray(position * size, (position + 1) * size), i * size);
  });
  return out;
}

function readSpan(
  { dtype, offset, span }: StoredTensor,
  readRange: (startByte: number, bytes: number) => Promise<Uint8Array>,
): Promise<Uint8Array> {
  return readRange(offset * DTYPE_BYTES[dtype], span * DTYPE_BYTES[dtype]);
}

/** The values at offset Σ index · stride, for all indices in C order, written to `out`. */
function gather<T extends Float32Array | Float64Array>(values: T, tensor: StoredTensor, out: T): T {
  const { shape, strides } = tensor;
  const inner = shape.at(-1) ?? 1;
  const innerStride = strides.at(-1) ?? 0;
  const index = shape.map(() => 0);
  let base = 0;
  for (let row = 0; row < out.length; row += inner) {
    for (let i = 0; i < inner; i++) out[row + i] = values[base + i * innerStride] ?? 0;
    // Count up, like the digits of an odometer, from the last axis but one.
    for (let axis = shape.length - 2; axis >= 0; axis--) {
      const extent = shape[axis] ?? 1;
      const stride = strides[axis] ?? 0;
      const next = (index[axis] ?? 0) + 1;
      base += stride;
      index[axis] = next;
      if (next < extent) break;
      base -= extent * stride;
      index[axis] = 0;
    }
  }
  return out;
}
