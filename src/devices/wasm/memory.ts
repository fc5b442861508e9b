import type { MemoryImport } from '../../codegen/wasm/module.ts';
import { WidefieldError } from '../../core/errors.ts';

export const PAGE_BYTES = 65536;

/** 32-bit addresses reach 4 GiB. */
export const MAX_PAGES = 65536;

/** Memories up to this size are kept for the next program, and their sizes rounded up so that they fit more often. */
const MAX_POOLED_BYTES = 256 * 2 ** 20;
const MIN_POOLED_BYTES = 2 ** 20;

/**
 * Hands out memories and takes them back.
 *
 * Engines free a memory only when every thread has collected its reference, and shared memory does not
 * hurry their collectors: a tuner that compiles hundreds of programs would run out of memory. So up to 256 MiB
 * sizes are powers of two, of which untouched pages cost nothing, and at most one memory of each size lies idle.
 */
export class MemoryPool {
  readonly #shared: boolean;
  readonly #idle = new Map<number, WebAssembly.Memory>();

  constructor(shared: boolean) {
    this.#shared = shared;
  }

  /** The import declaration that fits any memory that `take` gives for as many bytes. */
  describe(bytes: number): MemoryImport {
    const pages = pagesFor(bytes);
    return { pages, maxPages: pages, shared: this.#shared };
  }

  /**
   * A memory of at least `bytes` bytes, zero from `start` to there.
   * Throws `out-of-memory`, naming the MiB, if the engine has none.
   */
  take(start: number, bytes: number): WebAssembly.Memory {
    const { pages } = this.describe(bytes);
    const idle = this.#idle.get(pages);
    if (idle !== undefined) {
      this.#idle.delete(pages);
      new Uint8Array(idle.buffer, start, bytes - start).fill(0);
      return idle;
    }
    try {
      return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: this.#shared });
    } catch (error) {
      throw outOfMemory(bytes, 'which the engine refused to allocate', error);
    }
  }

  give(memory: WebAssembly.Memory): void {
    const bytes = memory.buffer.byteLength;
    if (bytes <= MAX_POOLED_BYTES) this.#idle.set(bytes / PAGE_BYTES, memory);
  }

  clear(): void {
    this.#idle.clear();
  }
}

function pagesFor(bytes: number): number {
  if (bytes > MAX_PAGES * PAGE_BYTES) throw outOfMemory(bytes, 'but WebAssembly can address only 4096 MiB');
  const pooled = Math.max(MIN_POOLED_BYTES, 2 ** Math.ceil(Math.log2(bytes)));
  return Math.ceil((pooled <= MAX_POOLED_BYTES ? pooled : bytes) / PAGE_BYTES);
}

function outOfMemory(bytes: number, reason: string, cause?: unknown): WidefieldError {
  return new WidefieldError(
    'out-of-memory',
    `The program needs ${Math.ceil(bytes / 2 ** 20)} MiB, ${reason}: use a smaller batch or image, or the native device.`,
    { cause },
  );
}
