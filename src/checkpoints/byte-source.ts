import { closable } from '../core/closable.ts';
import { WidefieldError, invalidArgument } from '../core/errors.ts';

/** Bytes with random access: a file, a `Blob`, memory. */
export interface ByteSource {
  /** For error messages; for a file, its path. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /**
   * The bytes from `offset`, exactly `length` of them, in a new array at the start of its own buffer: the caller
   * may keep it, change it, or look at it as numbers. Throws `invalid-argument` if they are not all there, `io` if
   * they cannot be read.
   */
  read(offset: number, length: number): Promise<Uint8Array>;
  close(): Promise<void>;
  /** Lets `await using` close it. Widefield's own have it. */
  [Symbol.asyncDispose]?(): Promise<void>;
}

/** Bytes in memory. They are not copied until they are read. */
export function bytesSource(bytes: Uint8Array, name = 'The checkpoint'): ByteSource & AsyncDisposable {
  const source: ByteSource = {
    name,
    size: bytes.byteLength,
    read(offset, length) {
      try {
        checkRange(source, offset, length);
        // Not bytes.slice(), which for Node's Buffer returns a view.
        return Promise.resolve(Uint8Array.prototype.slice.call(bytes, offset, offset + length));
      } catch (error) {
        return Promise.reject(asError(error));
      }
    },
    close: () => Promise.resolve(),
  };
  return closable(source);
}

/** A browser's `File` or any other `Blob`, read piece by piece. */
export function blobSource(blob: Blob, name = blobName(blob)): ByteSource & AsyncDisposable {
  const source: ByteSource = {
    name,
    size: blob.size,
    async read(offset, length) {
      checkRange(source, offset, length);
      let bytes: Uint8Array;
      try {
        bytes = new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
      } catch (error) {
        throw new WidefieldError('io', `${name} cannot be read: choose the file again.`, { cause: error });
      }
      if (bytes.byteLength !== length) throw truncated(source);
      return bytes;
    },
    close: () => Promise.resolve(),
  };
  return closable(source);
}

/** Throws `invalid-argument` unless the range lies inside the source. */
export function checkRange(source: ByteSource, offset: number, length: number): void {
  const sensible = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
  if (!sensible || offset + length > source.size) throw truncated(source);
}

/** The error for bytes that ought to be there. */
export function truncated(source: ByteSource): WidefieldError {
  return invalidArgument(
    `${source.name} ends too early, after ${source.size} bytes, or is damaged: download or save it again.`,
  );
}

/** What was thrown, as an `Error`. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

function blobName(blob: Blob): string {
  return 'name' in blob && typeof blob.name === 'string' && blob.name !== '' ? blob.name : 'The checkpoint';
}
