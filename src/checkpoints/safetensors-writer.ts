import { invalidArgument, throwIfAborted } from '../core/errors.ts';
import type { ByteSink } from './byte-sink.ts';
import { DTYPE_BYTES, fromFloat32 } from './dtype.ts';
import type { DType } from './dtype.ts';
import { MAX_HEADER_BYTES, SAFETENSORS_DTYPES } from './safetensors-header.ts';
import type { KeyedShape } from './source.ts';
import { printable, shapeText } from './text.ts';

/** A tensor to be written. */
export interface TensorToWrite extends KeyedShape {
  /** Overrides the writer's format, e.g. `int64` for counters. */
  readonly dtype?: DType;
}

export interface WriteOptions {
  /** How numbers are stored, rounded to nearest, ties to even. Default: `float32`. */
  readonly dtype?: DType;
  /** Text for the file's `__metadata__`. */
  readonly metadata?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** Called after each tensor, with bytes. */
  readonly onProgress?: (progress: { readonly written: number; readonly total: number }) => void;
}

/**
 * Writes a safetensors file, one tensor at a time: `read(key)` gives a tensor's values in C order when its turn comes,
 * or its bytes, already in the tensor's format, little-endian. Then closes the sink; if anything fails, or `signal`
 * fires, aborts the sink and throws.
 *
 * Tensors are laid out in the given order, wider formats first, so that each begins at a multiple of its number size,
 * as readers that map files into memory demand.
 */
export async function writeSafetensors(
  tensors: Iterable<TensorToWrite>,
  read: (key: string) => Promise<Float32Array | Uint8Array>,
  sink: ByteSink,
  options: WriteOptions = {},
): Promise<void> {
  try {
    const placed = place(tensors, options.dtype ?? 'float32');
    const header = encodeHeader(placed, options.metadata);
    const total = placed.reduce((sum, { bytes }) => sum + bytes, header.byteLength);
    throwIfAborted(options.signal);
    await sink.write(header);
    let written = header.byteLength;
    for (const { key, shape, dtype, bytes } of placed) {
      throwIfAborted(options.signal);
      const values = await read(key);
      const data = values instanceof Uint8Array ? values : fromFloat32(values, dtype);
      if (data.byteLength !== bytes) {
        const count = data.byteLength / DTYPE_BYTES[dtype];
        throw invalidArgument(`${printable(key)} of shape ${shapeText(shape)} cannot have ${count} values.`);
      }
      await sink.write(data);
      written += bytes;
      options.onProgress?.({ written, total });
    }
    throwIfAborted(options.signal);
    await sink.close();
  } catch (error) {
    await sink.abort();
    throw error;
  }
}

interface Placed extends KeyedShape {
  readonly dtype: DType;
  readonly bytes: number;
}

function place(tensors: Iterable<TensorToWrite>, fallback: DType): Placed[] {
  const keys = new Set<string>();
  const placed = [...tensors].map(({ key, shape, dtype = fallback }) => {
    if (keys.has(key) || key === '__metadata__') {
      throw invalidArgument(`The tensor ${printable(key)} cannot be written: each needs a name of its own.`);
    }
    keys.add(key);
    return { key, shape, dtype, bytes: shape.reduce((a, b) => a * b, DTYPE_BYTES[dtype]) };
  });
  return placed.sort((a, b) => DTYPE_BYTES[b.dtype] - DTYPE_BYTES[a.dtype]);
}

/** The header's length and JSON, padded with spaces to a multiple of 8 bytes. */
function encodeHeader(
  placed: readonly Placed[],
  metadata: Readonly<Record<string, string>> | undefined,
): Uint8Array {
  let position = 0;
  const members = placed.map(({ key, shape, dtype, bytes }) => {
    const begin = position;
    position += bytes;
    return [key, { dtype: CODES.get(dtype), shape, data_offsets: [begin, position] }] as const;
  });
  // Written member by member, because objects would move keys that look like numbers to the front.
  const all = [...(metadata === undefined ? [] : [['__metadata__', metadata] as const]), ...members];
  const json = `{${all.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(',')}}`;
  const text = new TextEncoder().encode(json);
  const length = Math.ceil(text.byteLength / 8) * 8;
  if (length > MAX_HEADER_BYTES) {
    throw invalidArgument(
      `${placed.length} tensors are more than one safetensors file can name: write several.`,
    );
  }
  const header = new Uint8Array(8 + length).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true);
  header.set(text, 8);
  return header;
}

const CODES: ReadonlyMap<string, string> = new Map(
  [...SAFETENSORS_DTYPES].map(([code, dtype]) => [dtype, code]),
);
