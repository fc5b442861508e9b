import { emitWasm } from '../codegen/wasm/emit.ts';
import type { DeviceCaps } from '../core/caps.ts';
import { WidefieldError, throwIfAborted } from '../core/errors.ts';
import { checkProgram } from './check-program.ts';
import type { CompileOptions, Device, Executable, Program } from './device.ts';
import { callingThreadBackend } from './wasm/calling-thread.ts';
import { WasmExecutable } from './wasm/executable.ts';
import { wasmFeatures } from './wasm/features.ts';
import { layOut } from './wasm/layout.ts';
import { MAX_PAGES, MemoryPool, PAGE_BYTES } from './wasm/memory.ts';
import { SerialQueue } from './queue.ts';
import { checkThreads } from './thread-count.ts';
import type { Backend, StepRunner } from './wasm/runner.ts';
import { ThreadPool } from './wasm/thread-pool.ts';
import { engineVersion, hardwareThreads, spawnWorker } from './wasm/worker-host.ts';

export interface WasmOptions {
  /** Threads that run a program, 1 to 64; default: all cores, at most 8. */
  readonly threads?: number;
  /** False: run on the calling thread, as where memory cannot be shared. Default: true. */
  readonly workers?: boolean;
  /**
   * Use relaxed SIMD where the engine has it: `fma` on vectors is then one instruction, rounded once or twice as the
   * processor likes. False: the same bits on every machine. Default: true.
   */
  readonly relaxed?: boolean;
  readonly signal?: AbortSignal;
}

const MAX_DEFAULT_THREADS = 8;

/**
 * Opens the engine's WebAssembly as a device, under Node and in browsers.
 *
 * Programs run in worker threads over shared memory, so that the event loop stays free. Where memory cannot
 * be shared (a page that is not cross-origin isolated) or workers cannot be started, they run on the calling
 * thread, which pauses between steps to let events through; `note` says so. Idle workers do not keep a Node
 * process alive.
 *
 * Throws `unsupported` where the engine has no SIMD, `invalid-argument` for impossible options, `aborted`.
 */
export async function openWasmDevice(options: WasmOptions = {}): Promise<Device> {
  const { threads = Math.min(MAX_DEFAULT_THREADS, hardwareThreads()), workers = true, signal } = options;
  checkThreads('wasm', threads);
  throwIfAborted(signal);
  const features = wasmFeatures();
  if (!features.simd) {
    throw new WidefieldError(
      'unsupported',
      'This engine has no WebAssembly SIMD: use Node 20 or newer, or a browser of 2023 or newer.',
    );
  }
  const { backend, note } = await openBackend(threads, workers, features.sharedMemory);
  if (signal?.aborted) {
    await backend.dispose();
    throwIfAborted(signal);
  }
  return new WasmDevice(backend, features.relaxed && options.relaxed !== false, note);
}

async function openBackend(
  threads: number,
  workers: boolean,
  sharedMemory: boolean,
): Promise<{ backend: Backend; note: string }> {
  const alone = (reason: string): { backend: Backend; note: string } => ({
    backend: callingThreadBackend(),
    note: `${reason}: programs run on the calling thread`,
  });
  if (!workers) return alone('workers are switched off');
  if (!sharedMemory) return alone('memory cannot be shared here (serve the page with COOP and COEP headers)');
  try {
    return { backend: await ThreadPool.open(threads, spawnWorker), note: `${threads} worker threads` };
  } catch (error) {
    const cause = error instanceof Error ? error.cause : undefined;
    return alone(`workers cannot be started (${cause instanceof Error ? cause.message : String(error)})`);
  }
}

class WasmDevice implements Device {
  readonly caps: DeviceCaps;
  readonly note: string;
  readonly #backend: Backend;
  readonly #relaxed: boolean;
  readonly #memories: MemoryPool;
  /** One queue for all executables: they share the threads. */
  readonly #queue = new SerialQueue();
  readonly #executables = new Set<Executable>();
  #disposal: Promise<void> | undefined;

  constructor(backend: Backend, relaxed: boolean, note: string) {
    const { threads } = backend;
    this.#backend = backend;
    this.#relaxed = relaxed;
    this.#memories = new MemoryPool(backend.sharedMemory);
    this.note = `${relaxed ? 'relaxed SIMD' : 'SIMD without fused multiply-add'}, ${note}`;
    this.caps = Object.freeze({
      name: 'wasm',
      lanes: [4],
      fullRateLanes: 4,
      vectorRegisters: 16,
      fma: relaxed,
      bf16: false,
      threads,
      // Engines do not tell cache sizes: these are the smallest among today's desktop and mobile cores.
      l1Bytes: 32 * 1024,
      l2Bytes: 512 * 1024,
      maxBytes: MAX_PAGES * PAGE_BYTES,
      fingerprint: `wasm simd128 relaxed=${relaxed ? 1 : 0} threads=${threads} ${engineVersion()}`,
    });
  }

  async compile(program: Program, options: CompileOptions = {}): Promise<Executable> {
    this.#checkAlive();
    throwIfAborted(options.signal);
    checkProgram(program);
    const layout = layOut(program, this.caps.threads);
    const memoryImport = this.#memories.describe(layout.bytes);
    const bytes = emitWasm({ ...layout.program, memory: memoryImport }, { relaxed: this.#relaxed });
    const module = await compileModule(bytes);
    throwIfAborted(options.signal);
    this.#checkAlive();
    const memory = this.#memories.take(layout.guard, layout.bytes);
    const runner = await this.#attach(module, memory, layout.program.control);
    const executable = new WasmExecutable(program, layout, memory, runner, this.#queue, () => {
      this.#executables.delete(executable);
      this.#memories.give(memory);
    });
    this.#executables.add(executable);
    if (options.signal?.aborted || this.#disposal !== undefined) {
      await executable.dispose();
      throwIfAborted(options.signal);
      this.#checkAlive();
    }
    options.onProgress?.(program.kernels.length, program.kernels.length);
    return executable;
  }

  dispose(): Promise<void> {
    this.#disposal ??= this.#disposeAll();
    return this.#disposal;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  async #attach(
    module: WebAssembly.Module,
    memory: WebAssembly.Memory,
    control: number,
  ): Promise<StepRunner> {
    try {
      return await this.#backend.attach(module, memory, control);
    } catch (error) {
      this.#memories.give(memory);
      throw error;
    }
  }

  async #disposeAll(): Promise<void> {
    await Promise.all([...this.#executables].map((executable) => executable.dispose()));
    this.#memories.clear();
    await this.#backend.dispose();
  }

  #checkAlive(): void {
    if (this.#disposal !== undefined) {
      throw new WidefieldError('device-lost', 'This device has been disposed of: open it again.');
    }
  }
}

async function compileModule(bytes: Uint8Array<ArrayBuffer>): Promise<WebAssembly.Module> {
  try {
    return await WebAssembly.compile(bytes);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new WidefieldError('compile-failed', `The engine refused generated code: ${reason}.`, {
      cause: error,
    });
  }
}
