import { cpus, totalmem } from 'node:os';

import { emitC } from '../codegen/c.ts';
import type { DeviceCaps } from '../core/caps.ts';
import { WidefieldError, invalidArgument, throwIfAborted } from '../core/errors.ts';
import type { CompileOptions, Device, Executable, Program } from './device.ts';
import { LibraryCache } from './native/cache.ts';
import { compileLibrary, findCompiler } from './native/compiler.ts';
import type { Compiler } from './native/compiler.ts';
import { NativeExecutable } from './native/executable.ts';
import type { LoadedKernel } from './native/executable.ts';
import { EXECUTOR_SOURCE } from './native/executor.ts';
import { openExecutorLibrary } from './native/library.ts';
import type { ExecutorLibrary } from './native/library.ts';
import { SerialQueue } from './queue.ts';

export interface NativeOptions {
  /** Threads that run a program; default: all cores. */
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
const PARALLEL_COMPILATIONS = Math.max(1, cpus().length);

/**
 * Opens this machine's processor: kernels are compiled by the system's C compiler, kept in a cache folder,
 * and run by a pool of threads of their own, so that Node's event loop stays free.
 *
 * Throws `unsupported` where there is no working compiler, `out-of-memory` if the threads cannot be had.
 */
export async function openNativeDevice(options: NativeOptions = {}): Promise<Device> {
  const threads = options.threads ?? cpus().length;
  if (!Number.isInteger(threads) || threads < 1 || threads > 1024) {
    throw invalidArgument(`threads must be an integer from 1 to 1024, got ${threads}.`);
  }
  const compiler = await findCompiler(options.compiler, options.compilerFlags, options.signal);
  const cache = await LibraryCache.open(options.cacheDirectory);
  const executorPath = await cache.library([compiler.fingerprint, EXECUTOR_SOURCE], (output) =>
    compileLibrary(compiler, EXECUTOR_SOURCE, output, ['-pthread', '-ldl'], options.signal),
  );
  const library = await openExecutorLibrary(executorPath);
  const pool = library.poolCreate(threads);
  if (pool === null) {
    throw new WidefieldError('out-of-memory', `The system refused ${threads} threads: ask for fewer.`);
  }
  return new NativeDevice(compiler, cache, library, pool, threads);
}

class NativeDevice implements Device {
  readonly caps: DeviceCaps;
  readonly note: string;
  readonly #compiler: Compiler;
  readonly #cache: LibraryCache;
  readonly #library: ExecutorLibrary;
  readonly #pool: unknown;
  readonly #executables = new Set<NativeExecutable>();
  readonly #queue = new SerialQueue();
  #disposal: Promise<void> | undefined;

  constructor(
    compiler: Compiler,
    cache: LibraryCache,
    library: ExecutorLibrary,
    pool: unknown,
    threads: number,
  ) {
    this.#compiler = compiler;
    this.#cache = cache;
    this.#library = library;
    this.#pool = pool;
    this.note = [
      `${compiler.version}, ${compiler.lanes} lanes`,
      ...(cache.note === undefined ? [] : [cache.note]),
    ].join('; ');
    this.caps = Object.freeze({
      name: 'native',
      lanes: laneChoices(compiler.lanes),
      vectorRegisters: compiler.vectorRegisters,
      fma: compiler.fma,
      bf16: compiler.bf16,
      threads,
      l1Bytes: 32 * 1024,
      l2Bytes: 1024 * 1024,
      maxBytes: totalmem(),
      fingerprint: `native ${cpus()[0]?.model ?? 'unknown'} threads=${threads} ${compiler.fingerprint}`,
    });
  }

  async compile(program: Program, options: CompileOptions = {}): Promise<Executable> {
    this.#checkAlive();
    const paths = await this.#compileKernels(program, options);
    // The device may have been disposed of meanwhile.
    this.#checkAlive();
    const loaded: LoadedKernel[] = [];
    try {
      program.kernels.forEach((kernel, i) => loaded.push(this.#library.load(paths[i] ?? '', kernel.name)));
      const executable = new NativeExecutable(
        this.#library,
        this.#pool,
        this.caps.threads,
        program,
        loaded,
        this.#queue,
        (disposed) => this.#executables.delete(disposed),
      );
      this.#executables.add(executable);
      return executable;
    } catch (error) {
      for (const kernel of loaded) this.#library.unload(kernel.handle);
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
    this.#library.poolDestroy(this.#pool);
  }

  #checkAlive(): void {
    if (this.#disposal === undefined) return;
    throw new WidefieldError('device-lost', 'This device has been disposed of: open it again.');
  }

  /** Compiles all kernels that the cache lacks, several at a time. */
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
        paths[i] = await this.#cache.library([this.#compiler.fingerprint, source], (output) =>
          compileLibrary(this.#compiler, source, output, [], options.signal),
        );
        options.onProgress?.(++done, total);
      }
    };
    const results = await Promise.allSettled(Array.from({ length: PARALLEL_COMPILATIONS }, worker));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
    return paths;
  }
}

/** The widest vectors first, and halves of them down to 4 for channel counts that need them. */
function laneChoices(widest: number): number[] {
  const choices: number[] = [];
  for (let lanes = widest; lanes >= 4; lanes /= 2) choices.push(lanes);
  return choices;
}
