import { WidefieldError, reasonOf, throwIfAborted } from '../core/errors.ts';
import { shortName } from './address.ts';

/** How far a download is, in bytes. */
export interface DownloadProgress {
  readonly phase: 'download';
  readonly done: number;
  /** At least `done`; the same where the server does not tell how many there are. */
  readonly total: number;
}

export interface DownloadOptions {
  readonly signal?: AbortSignal;
  /** Called when the first bytes are there, now and then, and at the end. */
  readonly onProgress?: (progress: DownloadProgress) => void;
}

/** Bytes between two reports. */
const REPORT_BYTES = 2 ** 18;

/**
 * The bytes behind an address.
 * Throws `io`, naming the cause, `aborted`, `out-of-memory`, and what `onProgress` throws; the connection is closed then.
 */
export async function download(
  url: string | URL,
  { signal, onProgress }: DownloadOptions = {},
): Promise<Uint8Array> {
  const response = await attempt(url, signal, () => request(url, signal));
  const reader = response.body?.getReader();
  if (reader === undefined) return new Uint8Array();
  try {
    const expected = expectedBytes(response.headers);
    const received = new ReceivedBytes(shortName(url), expected);
    let reported = 0;
    const report = (total: number): void => {
      reported = received.length;
      onProgress?.({ phase: 'download', done: reported, total });
    };
    for (;;) {
      const { done, value } = await attempt(url, signal, () => reader.read());
      if (done) break;
      received.add(value);
      const isDue = reported === 0 || received.length - reported >= REPORT_BYTES;
      if (isDue) report(Math.max(received.length, expected));
    }
    // The end is the end, whatever the server said.
    if (received.length > 0 && (reported < received.length || reported < expected)) report(received.length);
    return received.bytes;
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

/** What a download is at, for people: `downloading weights, 12 of 50 MiB`. */
export function describeDownload({ done, total }: DownloadProgress): string {
  const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(total < 2 ** 24 ? 1 : 0);
  const parts = done === total ? mebibytes(done) : `${mebibytes(done)} of ${mebibytes(total)}`;
  return `downloading weights, ${parts} MiB`;
}

async function request(url: string | URL, signal: AbortSignal | undefined): Promise<Response> {
  const response = await fetch(url, signal ? { signal } : {});
  if (response.ok) return response;
  await response.body?.cancel().catch(() => undefined);
  throw new Error(`the server answers ${response.status} ${response.statusText}`.trim());
}

async function attempt<T>(
  url: string | URL,
  signal: AbortSignal | undefined,
  step: () => Promise<T>,
): Promise<T> {
  try {
    return await step();
  } catch (error) {
    throwIfAborted(signal);
    throw new WidefieldError('io', `${shortName(url)} cannot be downloaded: ${reasonOf(error)}.`, {
      cause: error,
    });
  }
}

/** What the server says that it will send; 0 if it says nothing, or tells the length before decompression. */
function expectedBytes(headers: Headers): number {
  if ((headers.get('content-encoding') ?? 'identity') !== 'identity') return 0;
  const length = Number(headers.get('content-length'));
  return Number.isSafeInteger(length) && length > 0 ? length : 0;
}

/** What is allocated on a server's word alone. Memory that nothing is written to costs next to nothing. */
const TRUSTED_BYTES = 2 ** 28;
const LEAST_BYTES = 2 ** 16;

/** Bytes in one piece, which grows only if there are more than was said. */
class ReceivedBytes {
  readonly #name: string;
  readonly #expected: number;
  #memory: Uint8Array;
  #length = 0;

  /** @param name of what is downloaded, for messages */
  constructor(name: string, expected: number) {
    this.#name = name;
    this.#expected = expected;
    this.#memory = this.#allocate(Math.max(LEAST_BYTES, Math.min(expected, TRUSTED_BYTES)));
  }

  get length(): number {
    return this.#length;
  }

  get bytes(): Uint8Array {
    return this.#memory.subarray(0, this.#length);
  }

  add(piece: Uint8Array): void {
    const length = this.#length + piece.length;
    if (length > this.#memory.length) {
      // After so much the server may be believed as much again.
      const isNear = this.#expected >= length && this.#expected <= 2 * length;
      const larger = this.#allocate(isNear ? this.#expected : 2 * length);
      larger.set(this.bytes);
      this.#memory = larger;
    }
    this.#memory.set(piece, this.#length);
    this.#length = length;
  }

  #allocate(bytes: number): Uint8Array {
    try {
      return new Uint8Array(bytes);
    } catch (error) {
      throw new WidefieldError(
        'out-of-memory',
        `${this.#name} takes ${Math.ceil(bytes / 2 ** 20)} MiB, which this process cannot allocate: save it as a file and give that.`,
        { cause: error },
      );
    }
  }
}
