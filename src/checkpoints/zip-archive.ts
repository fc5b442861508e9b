import { WidefieldError, invalidArgument } from '../core/errors.ts';
import { asError, truncated } from './byte-source.ts';
import type { ByteSource } from './byte-source.ts';
import { printable } from './text.ts';

/** A zip file with random access to what is stored uncompressed, as PyTorch stores everything. */
export interface ZipArchive {
  /** Uncompressed bytes of each file, by path. */
  readonly sizes: ReadonlyMap<string, number>;
  /**
   * Bytes of one file from `offset` on, in a new array. A compressed file is unpacked as a whole, and kept until another
   * file is read: many tensors may lie in one storage.
   */
  read(path: string, offset: number, length: number): Promise<Uint8Array>;
}

type Zip = Pick<typeof import('@zip.js/zip.js'), 'Reader' | 'Uint8ArrayWriter' | 'ZipReader'>;
type FileEntry = import('@zip.js/zip.js').FileEntry;

/** Storages of a checkpoint, one a tensor. */
const MAX_ENTRIES = 2 ** 16;
/** A directory of MAX_ENTRIES files with long paths; the reader asks for nothing larger. */
const MAX_DIRECTORY_BYTES = 2 ** 25;
/** Compressed files are unpacked in memory; Deflate never packs tighter than 1032 to 1. */
const MAX_UNPACKED_BYTES = 2 ** 30;
const MAX_EXPANSION = 1032;
const STORED = 0;
const LOCAL_HEADER_BYTES = 30;
const LOCAL_HEADER_SIGNATURE = 0x04034b50;

/** Reads a zip file's directory. Throws `invalid-argument` if it is damaged. */
export async function openZip(source: ByteSource): Promise<ZipArchive> {
  // Loaded when a zip file is met: most pages and programs read safetensors. This entry of the library unpacks by the
  // engine's own DecompressionStream.
  const zip = await import('@zip.js/zip.js/lib/zip-core-native.js');
  const entries = new Map<string, FileEntry>();
  await guarded(source, async () => {
    const reader = new zip.ZipReader(zipReader(zip, source), {
      useWebWorkers: false,
      filenameValidation: 'tolerant',
    });
    for await (const entry of reader.getEntriesGenerator()) {
      if (entry.directory) continue;
      if (entries.size >= MAX_ENTRIES)
        throw invalidArgument(`${source.name} is a zip file of too many files.`);
      if (entries.has(entry.filename)) throw damaged(source, `two files named ${printable(entry.filename)}`);
      entries.set(entry.filename, entry);
    }
  });
  let unpacked: { readonly path: string; readonly bytes: Promise<Uint8Array> } | undefined;
  return {
    sizes: new Map([...entries].map(([path, entry]) => [path, entry.uncompressedSize])),
    async read(path, offset, length) {
      const entry = entries.get(path);
      if (entry === undefined) throw damaged(source, `no file ${printable(path)}`);
      if (offset + length > entry.uncompressedSize) throw truncated(source);
      if (entry.encrypted) throw invalidArgument(`${source.name} is encrypted: decrypt it first.`);
      if (unpacked?.path !== path) unpacked = undefined;
      if (entry.compressionMethod === STORED) {
        return source.read((await dataOffset(source, entry)) + offset, length);
      }
      unpacked ??= { path, bytes: unpack(zip, source, entry) };
      try {
        return (await unpacked.bytes).slice(offset, offset + length);
      } catch (error) {
        unpacked = undefined;
        throw error;
      }
    },
  };
}

function zipReader(zip: Zip, source: ByteSource): InstanceType<Zip['Reader']> {
  const Reader = class extends zip.Reader<ByteSource> {
    override size = source.size;

    override async readUint8Array(offset: number, length: number): Promise<Uint8Array> {
      const available = Math.max(0, Math.min(length, source.size - offset));
      if (available > MAX_DIRECTORY_BYTES) throw damaged(source, 'an absurd directory');
      return source.read(offset, available);
    }
  };
  return new Reader(source);
}

/** Where the bytes of a stored file begin: behind a header whose two last lengths vary. */
async function dataOffset(source: ByteSource, entry: FileEntry): Promise<number> {
  const bytes = await source.read(entry.offset, LOCAL_HEADER_BYTES);
  const header = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (
    header.getUint32(0, true) !== LOCAL_HEADER_SIGNATURE ||
    entry.compressedSize !== entry.uncompressedSize
  ) {
    throw damaged(source, `a directory that disagrees about ${printable(entry.filename)}`);
  }
  return entry.offset + LOCAL_HEADER_BYTES + header.getUint16(26, true) + header.getUint16(28, true);
}

async function unpack(zip: Zip, source: ByteSource, entry: FileEntry): Promise<Uint8Array> {
  if (entry.uncompressedSize > MAX_EXPANSION * entry.compressedSize) {
    throw damaged(source, `absurd sizes of ${printable(entry.filename)}`);
  }
  if (entry.uncompressedSize > MAX_UNPACKED_BYTES) {
    throw invalidArgument(`${source.name} is compressed: unzip it and zip it again without compression.`);
  }
  return guarded(source, () => entry.getData(new zip.Uint8ArrayWriter(), { useWebWorkers: false }));
}

/** Runs the zip library, whose errors are for programmers. */
async function guarded<T>(source: ByteSource, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof WidefieldError) throw error;
    const reason = asError(error).message;
    throw new WidefieldError(
      'invalid-argument',
      `${source.name} is a damaged or unusual zip file (${printable(reason)}): download or save it again.`,
      { cause: error },
    );
  }
}

function damaged(source: ByteSource, what: string): WidefieldError {
  return invalidArgument(`${source.name} is a damaged zip file, with ${what}: download or save it again.`);
}
