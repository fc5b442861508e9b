import { availableParallelism, cpus, totalmem } from 'node:os';

import { emitC } from '../codegen/c.ts';
import type { DeviceCaps } from '../core/caps.ts';
import { WidefieldError, throwIfAborted } from '../core/errors.ts';
import { checkProgram } from './check-program.ts';
import type { CompileOptions, Device, Executable, Program } from './device.ts';
import { LibraryCache } from './native/cache.ts';
import { compileLibrary, findCompiler } from './native/compiler.ts';
import type { Compiler } from './native/compiler.ts';
import { NativeExecutable } from './native/executable.ts';
import type { LoadedKernel, NativeThreads } from './native/executable.ts';
import { openExecutorLibrary } from './native/library.ts';
import { Pace } from './native/pace.ts';
import { SerialQueue } from './queue.ts';
import { checkThreads } from './thread-count.ts';

export interface NativeOptions {
  /** Threads that run a program; default: all cores that this process may use. */
  readonly threads?: number;
  /** Folder of compiled kernels; default: the user's cache folder. */
  readonly cacheDirectory?: string;
  /** The C compiler; default: the first of cc, gcc and clang that works. */
  readonly compiler?: string;
  /** Further flags for the compiler, after Widefield's own, so that they win. They are part of what kernels are cached by. */
  readonly compilerFlags?: readonly string[];
  readonly signal?: AbortSignal;
}

/** Compiler processes at a time. */
const PARALLEL_COMPILATIONS = availableParallelism();

/**
 * Opens this machine's processor: kernels are compiled by the system's C compiler, kept in a cache folder,
 * and run by a pool of threads of their own, so that Node's event loop stays free.
 *
 * Throws `unsupported` where there is no working compiler or no way to load what it made, `out-of-memory` if the
 * threads cannot be had, `io` if no folder can be written, `aborted`.
 */
export async function openNativeDevice(options: NativeOptions = {}): Promise<Device> {
  const threads = options.threads ?? availableParallelism();
  checkThreads('native', threads);
  throwIfAborted(options.signal);
  const cache = await LibraryCache.open(options.cacheDirectory);
  const { compiler, executor } = await findCompiler(
    cache,
    options.compiler,
    options.compilerFlags,
    options.signal,
  );
  const library = await openExecutorLibrary(executor);
  const pool = library.poolCreate(threads);
  if (pool === null) {
    throw new WidefieldError('out-of-memory', `The system refused ${threads} threads: ask for fewer.`);
  }
  const shared = { library, pool, count: threads, queue: new SerialQueue(), pace: new Pace() };
  return new NativeDevice(compiler, cache, shared);
}

class NativeDevice implements Device {
  readonly caps: DeviceCaps;
  readonly note: string;
  readonly #compiler: Compiler;
  readonly #cache: LibraryCache;
  readonly #threads: NativeThreads;
  readonly #executables = new Set<NativeExecutable>();
  #disposal: Promise<void> | undefined;

  constructor(compiler: Compiler, cache: LibraryCache, threads: NativeThreads) {
    this.#compiler = compiler;
    this.#cache = cache;
    this.#threads = threads;
    const isSplit = threads.library.splitsVectors();
    this.note = [
      `${compiler.version}, ${compiler.lanes} lanes${isSplit ? ' in halves' : ''}`,
      ...(cache.note === undefined ? [] : [cache.note]),
    ].join('; ');
    this.caps = Object.freeze({
      name: 'native',
      lanes: laneChoices(compiler.lanes),
      fullRateLanes: isSplit ? compiler.lanes / 2 : compiler.lanes,
      vectorRegisters: compiler.vectorRegisters,
      fma: compiler.fma,
      bf16: compiler.bf16,
      threads: threads.count,
      l1Bytes: 32 * 1024,
      l2Bytes: 1024 * 1024,
      maxBytes: usableBytes(),
      fingerprint: `native ${cpus()[0]?.model ?? 'unknown'} threads=${threads.count} ${compiler.fingerprint}`,
    });
  }

  async compile(program: Program, options: CompileOptions = {}): Promise<Executable> {
    this.#checkAlive();
    checkProgram(program);
    const { library } = this.#threads;
    const paths = await this.#compileKernels(program, options);
    // The device may have been disposed of meanwhile.
    this.#checkAlive();
    const loaded: LoadedKernel[] = [];
    try {
      program.kernels.forEach((kernel, i) => loaded.push(library.load(paths[i] ?? '', kernel.name)));
      const executable = new NativeExecutable(this.#threads, program, loaded, (disposed) =>
        this.#executables.delete(disposed),
      );
      this.#executables.add(executable);
      return executable;
    } catch (error) {
      for (const kernel of loaded) library.unload(kernel.handle);
      throw error;
    }
  }

  dispose(): Promise<void> {
    this.#disposal ??= this.#end();
    return this.#disposal;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  async #end(): Promise<void> {
    await Promise.all([...this.#executables].map((executable) => executable.dispose()));
    this.#threads.library.poolDestroy(this.#threads.pool);
  }

  #checkAlive(): void {
    if (this.#disposal === undefined) return;
    throw new WidefieldError('device-lost', 'This device has been disposed of: open it again.');
  }

  /** Compiles all kernels that the cache lacks, several at a time; none is begun after one has failed. */
  async #compileKernels(program: Program, options: CompileOptions): Promise<string[]> {
    const paths: string[] = [];
    const total = program.kernels.length;
    let next = 0;
    let done = 0;
    const worker = async (): Promise<void> => {
      for (let i = next++; i < total; i = next++) {
        throwIfAborted(options.signal);
        const kernel = program.kernels[i];
        if (kernel === undefined) continue;
        const source = emitC(kernel);
        try {
          paths[i] = await this.#cache.library([this.#compiler.fingerprint, source], (output) =>
            compileLibrary(this.#compiler, source, output, [], options.signal),
          );
        } catch (error) {
          next = total;
          throw error;
        }
        options.onProgress?.(++done, total);
      }
    };
    const results = await Promise.allSettled(Array.from({ length: PARALLEL_COMPILATIONS }, worker));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
    return paths;
  }
}

/** The memory of the machine, or of the container around this process. */
function usableBytes(): number {
  // Zero, absent, or larger than the machine: no limit is known.
  return Math.min(totalmem(), process.constrainedMemory() || Infinity);
}

/** The widest vectors first, and halves of them down to 4 for channel counts that need them. */
function laneChoices(widest: number): number[] {
  const choices: number[] = [];
  for (let lanes = widest; lanes >= 4; lanes /= 2) choices.push(lanes);
  return choices;
}
