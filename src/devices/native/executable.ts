import { scratchFloats } from '../../codegen/ir.ts';
import { WidefieldError, throwIfAborted } from '../../core/errors.ts';
import type { Executable, Program, Region, RunOptions, Step, StepTime } from '../device.ts';
import type { SerialQueue } from '../queue.ts';
import type { Address, ExecutorLibrary } from './library.ts';
import type { Pace } from './pace.ts';

/** A kernel that is compiled and loaded. */
export interface LoadedKernel {
  readonly address: Address;
  readonly handle: Address;
}

/** Bytes of `wf_step` in executor.ts: kernel, buffers, tasks, next, milliseconds. */
const STEP_BYTES = 32;
const ALIGNMENT = 64;

/** A list of steps in the layout that the executor reads. */
interface StepTable {
  readonly steps: readonly Step[];
  readonly bytes: DataView;
  /** Milliseconds that its last complete run took. */
  lastMs: number;
}

/** What all executables of a device share: its threads do one run at a time, whichever executable asks. */
export interface NativeThreads {
  readonly library: ExecutorLibrary;
  readonly pool: unknown;
  readonly count: number;
  readonly queue: SerialQueue;
  readonly pace: Pace;
}

/**
 * A program in memory. All memory is made by JavaScript and kept alive here, so that a view that outlives
 * `dispose` is useless but harmless.
 */
export class NativeExecutable implements Executable {
  readonly #threads: NativeThreads;
  readonly #program: Program;
  readonly #kernels: readonly LoadedKernel[];
  readonly #onDispose: (executable: NativeExecutable) => void;
  readonly #memory: AlignedMemory;
  readonly #scratch: AlignedMemory;
  readonly #scratchFloats: number;
  readonly #cancel = new Int32Array(1);
  readonly #pointers: BigUint64Array;
  readonly #main: StepTable;
  readonly #prepare: readonly StepTable[];
  readonly #offsets: Readonly<Record<Region, number>>;
  #disposal: Promise<void> | undefined;

  /** @param program as `checkProgram` wants it */
  constructor(
    threads: NativeThreads,
    program: Program,
    kernels: readonly LoadedKernel[],
    onDispose: (executable: NativeExecutable) => void,
  ) {
    this.#threads = threads;
    this.#program = program;
    this.#kernels = kernels;
    this.#onDispose = onDispose;
    const weightFloats = alignFloats(program.sizes.weights);
    this.#offsets = { weights: 0, arena: weightFloats, staging: weightFloats };
    const total = weightFloats + Math.max(program.sizes.arena, program.sizes.staging);
    this.#memory = new AlignedMemory(threads.library, total);
    this.#scratchFloats = alignFloats(Math.max(0, ...program.kernels.map(scratchFloats)));
    this.#scratch = new AlignedMemory(threads.library, this.#scratchFloats * threads.count);
    const groups = [program.steps, ...program.prepare];
    const buffers = groups.flat().reduce((sum, step) => sum + step.slots.length, 0);
    this.#pointers = new BigUint64Array(Math.max(1, buffers));
    let next = 0;
    const table = (steps: readonly Step[]): StepTable => {
      const written = this.#writeSteps(steps, next);
      next += steps.reduce((sum, step) => sum + step.slots.length, 0);
      return written;
    };
    this.#main = table(program.steps);
    this.#prepare = program.prepare.map(table);
  }

  view(region: Region): Float32Array {
    if (this.#disposal !== undefined) throw disposedError();
    const begin = this.#offsets[region];
    return this.#memory.floats.subarray(begin, begin + this.#program.sizes[region]);
  }

  async prepare(group: number): Promise<void> {
    const table = this.#prepare[group];
    if (table === undefined) {
      throw new WidefieldError('invalid-argument', `The program has no prepare group ${group}.`);
    }
    await this.#execute(table, {}, false);
  }

  async run(options: RunOptions = {}): Promise<void> {
    await this.#execute(this.#main, options, false);
  }

  async profile(options: RunOptions = {}): Promise<StepTime[]> {
    return this.#execute(this.#main, options, true);
  }

  dispose(): Promise<void> {
    this.#disposal ??= this.#threads.queue.add(() => {
      this.#onDispose(this);
      for (const kernel of this.#kernels) this.#threads.library.unload(kernel.handle);
      return Promise.resolve();
    });
    return this.#disposal;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  /** Waits for its turn, then runs; what was asked for before `dispose` is still done. */
  async #execute(table: StepTable, options: RunOptions, timed: boolean): Promise<StepTime[]> {
    if (this.#disposal !== undefined) throw disposedError();
    const { library, pool, queue, pace } = this.#threads;
    return queue.add(async () => {
      const cancel = this.#cancel;
      cancel[0] = 0;
      const onAbort = (): void => {
        Atomics.store(cancel, 0, 1);
      };
      options.signal?.addEventListener('abort', onAbort, { once: true });
      try {
        const result = await pace.run(library, table, {
          pool,
          steps: table.bytes,
          count: table.steps.length,
          scratch: this.#scratch.floats,
          scratchFloats: this.#scratchFloats,
          cancel,
          timed,
        });
        if (result !== 0) throwIfAborted(options.signal);
        return timed ? this.#times(table) : [];
      } finally {
        options.signal?.removeEventListener('abort', onAbort);
      }
    }, options.signal);
  }

  #times(table: StepTable): StepTime[] {
    return table.steps.map((step, i) => ({
      label: step.label,
      kernel: this.#program.kernels[step.kernel]?.name ?? '',
      milliseconds: table.bytes.getFloat64(i * STEP_BYTES + 24, true),
    }));
  }

  #writeSteps(steps: readonly Step[], firstPointer: number): StepTable {
    const bytes = new DataView(new ArrayBuffer(Math.max(1, steps.length) * STEP_BYTES));
    const pointerBase = this.#threads.library.address(this.#pointers);
    let pointer = firstPointer;
    steps.forEach((step, i) => {
      const kernel = this.#program.kernels[step.kernel];
      const loaded = this.#kernels[step.kernel];
      if (kernel === undefined || loaded === undefined) throw new Error(`there is no kernel ${step.kernel}`);
      bytes.setBigUint64(i * STEP_BYTES, loaded.address, true);
      bytes.setBigUint64(i * STEP_BYTES + 8, pointerBase + BigInt(8 * pointer), true);
      bytes.setInt32(i * STEP_BYTES + 16, kernel.tasks, true);
      for (const slot of step.slots) {
        const floats = this.#offsets[slot.region] + slot.offset;
        this.#pointers[pointer++] = this.#memory.address + BigInt(4 * floats);
      }
    });
    return { steps, bytes, lastMs: Infinity };
  }
}

/** Zeroed floats at a multiple of 64 bytes. */
class AlignedMemory {
  readonly floats: Float32Array;
  readonly address: Address;

  /** Throws `out-of-memory`, naming the MiB. */
  constructor(library: ExecutorLibrary, length: number) {
    // Of views, only those of floats may be as long as the whole memory in every version of Node.
    const whole = allocate(Math.max(1, length) + ALIGNMENT / 4);
    const base = library.address(whole);
    const shift = Number(BigInt(ALIGNMENT) - (base % BigInt(ALIGNMENT))) % ALIGNMENT;
    this.floats = whole.subarray(shift / 4, shift / 4 + length);
    this.address = base + BigInt(shift);
    library.advise(whole, whole.byteLength);
  }
}

function allocate(floats: number): Float32Array {
  try {
    // By way of a buffer, which stays where it is; small arrays do not.
    return new Float32Array(new ArrayBuffer(4 * floats));
  } catch (error) {
    throw new WidefieldError(
      'out-of-memory',
      `The program needs ${Math.ceil((4 * floats) / 2 ** 20)} MiB, which this process cannot allocate.`,
      { cause: error },
    );
  }
}

function alignFloats(floats: number): number {
  return Math.ceil(floats / 16) * 16;
}

function disposedError(): WidefieldError {
  return new WidefieldError(
    'device-lost',
    'This executable has been disposed of: compile the program again.',
  );
}
