import type { LibraryHandle } from 'koffi';

import { WidefieldError } from '../../core/errors.ts';

/** A pointer as koffi hands it out and takes it. */
export type Address = bigint;

/** The functions of the executor library (`executor.ts`). */
export interface ExecutorLibrary {
  poolCreate(threads: number): unknown;
  poolDestroy(pool: unknown): void;
  address(memory: ArrayBufferView): Address;
  advise(memory: ArrayBufferView, bytes: number): void;
  /** Whether this processor takes its widest vectors in two halves, so that they bring multiply-adds nothing. */
  splitsVectors(): boolean;
  /** Loads a kernel; throws `device-lost` with the loader's reason. */
  load(path: string, symbol: string): { readonly address: Address; readonly handle: Address };
  unload(handle: Address): void;
  /** Runs steps on a thread of its own; resolves to 0 (done) or 1 (cancelled). */
  run(run: RunArguments): Promise<number>;
  /** Runs steps on the calling thread and the pool's, and returns when they are done. */
  runHere(run: RunArguments): number;
}

/** What `wf_run` takes. */
export interface RunArguments {
  readonly pool: unknown;
  readonly steps: ArrayBufferView;
  readonly count: number;
  readonly scratch: ArrayBufferView;
  readonly scratchFloats: number;
  readonly cancel: ArrayBufferView;
  readonly timed: boolean;
}

/** Binds the compiled executor at `path`. Throws `unsupported` if this process may not load it. */
export async function openExecutorLibrary(path: string): Promise<ExecutorLibrary> {
  const library = await load(path);
  const poolCreate = library.func('void *wf_pool_create(int32_t threads)');
  const poolDestroy = library.func('void wf_pool_destroy(void *pool)');
  const address = library.func('uint64_t wf_address(const void *memory)');
  const advise = library.func('void wf_advise(void *memory, uint64_t bytes)');
  const splitsVectors = library.func('int32_t wf_splits_vectors(void)');
  const loadKernel = library.func(
    'uint64_t wf_load(const char *path, const char *symbol, void *handle, void *reason, int32_t bytes)',
  );
  const unload = library.func('void wf_unload(uint64_t handle)');
  const run = library.func(
    'int32_t wf_run(void *pool, void *steps, int32_t count, void *scratch, int64_t floats, const void *cancel, int32_t timed)',
  );
  return {
    poolCreate: (threads) => poolCreate(threads) as unknown,
    poolDestroy: (pool) => void poolDestroy(pool),
    address: (memory) => BigInt(address(memory) as number | bigint),
    advise: (memory, bytes) => void advise(memory, bytes),
    splitsVectors: () => splitsVectors() === 1,
    load: (file, symbol) => {
      const handle = new BigUint64Array(1);
      const reason = Buffer.alloc(512);
      const found = BigInt(loadKernel(file, symbol, handle, reason, reason.length) as number | bigint);
      if (found === 0n) {
        const text = reason.toString('utf8', 0, Math.max(0, reason.indexOf(0)));
        throw new WidefieldError(
          'device-lost',
          `The compiled kernel ${symbol} could not be loaded: ${text}.`,
        );
      }
      return { address: found, handle: handle[0] ?? 0n };
    },
    unload: (handle) => void unload(handle),
    run: (what) =>
      new Promise((resolve, reject) => {
        run.async(...listed(what), (error: Error | null, result: number) => {
          if (error) reject(error);
          else resolve(result);
        });
      }),
    runHere: (what) => run(...listed(what)) as number,
  };
}

async function load(path: string): Promise<LibraryHandle> {
  try {
    const koffi = (await import('koffi')).default;
    return koffi.load(path);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new WidefieldError(
      'unsupported',
      `Native code cannot be loaded here (${reason}): koffi must be installed, and the cache folder allow execution.`,
      { cause: error },
    );
  }
}

/** In the order of `wf_run`'s parameters. */
function listed({ pool, steps, count, scratch, scratchFloats, cancel, timed }: RunArguments): unknown[] {
  return [pool, steps, count, scratch, scratchFloats, cancel, timed ? 1 : 0];
}
