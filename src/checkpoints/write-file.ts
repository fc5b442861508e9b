import { throwIfAborted } from '../core/errors.ts';
import { openFileSink } from './file-sink.ts';

/** Writes a file piece by piece; until all is there, what was there before stays. Throws `io`, `aborted`. */
export async function writeWhole(
  file: string,
  pieces: Iterable<Uint8Array | string>,
  signal?: AbortSignal,
): Promise<void> {
  const sink = await openFileSink(file);
  try {
    for (const piece of pieces) {
      throwIfAborted(signal);
      await sink.write(typeof piece === 'string' ? new TextEncoder().encode(piece) : piece);
    }
    await sink.close();
  } catch (error) {
    await sink.abort();
    throw error;
  }
}
