import { invalidArgument } from '../core/errors.ts';
import type { ByteSource } from './byte-source.ts';
import { toFloat32 } from './dtype.ts';
import { MAX_HEADER_BYTES, parseHeader } from './safetensors-header.ts';
import type { LocatedTensor } from './safetensors-header.ts';
import { noSuchTensor } from './source.ts';
import type { Checkpoint } from './source.ts';

/** Opens a safetensors file: 8 bytes of length, a JSON header of that length, then the tensors' bytes. */
export async function openSafetensors(source: ByteSource): Promise<Checkpoint> {
  const { name } = source;
  const headerBytes = await headerLength(source);
  if (headerBytes === undefined) {
    throw invalidArgument(`${name} is a damaged safetensors file: its header has an absurd size.`);
  }
  const dataStart = 8 + headerBytes;
  const text = new TextDecoder().decode(await source.read(8, headerBytes));
  const entries = parseHeader(text, source.size - dataStart, name);
  const locate = (key: string): LocatedTensor => {
    const tensor = entries.get(key);
    if (tensor === undefined) throw noSuchTensor(name, key);
    return tensor;
  };
  const bytesOf = ({ begin, end }: LocatedTensor): Promise<Uint8Array> =>
    source.read(dataStart + begin, end - begin);
  return {
    name,
    format: 'safetensors',
    subtree: '',
    subtrees: [''],
    entries,
    async read(key) {
      const tensor = locate(key);
      return toFloat32(await bytesOf(tensor), tensor.dtype);
    },
    readBytes: async (key) => bytesOf(locate(key)),
    close: () => source.close(),
    [Symbol.asyncDispose]: () => source.close(),
  };
}

/** The length of the header, or undefined where it is beyond the format's limit or the file. */
export async function headerLength(source: ByteSource): Promise<number | undefined> {
  const bytes = await source.read(0, 8);
  const length = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
  return length <= BigInt(Math.min(MAX_HEADER_BYTES, source.size - 8)) ? Number(length) : undefined;
}
