/** Takes bytes in order. Ends with either `close` or `abort`. */
export interface ByteSink {
  /** Writes all of `bytes`, which may change once the promise is fulfilled. */
  write(bytes: Uint8Array): Promise<void>;
  /** All has been written: makes it visible. */
  close(): Promise<void>;
  /** Something failed: leaves nothing behind. */
  abort(): Promise<void>;
}

/** Keeps everything in memory, e.g. for a download in a browser. */
export interface MemorySink extends ByteSink {
  /** What was written; empty if it was aborted. */
  blob(): Blob;
}

export function memorySink(): MemorySink {
  let parts: Uint8Array<ArrayBuffer>[] = [];
  return {
    write(bytes) {
      parts.push(new Uint8Array(bytes));
      return Promise.resolve();
    },
    close: () => Promise.resolve(),
    abort() {
      parts = [];
      return Promise.resolve();
    },
    blob: () => new Blob(parts, { type: 'application/octet-stream' }),
  };
}
