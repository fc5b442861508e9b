import { WidefieldError, abortedError, invalidArgument } from '../../core/errors.ts';
import type { Executable, Program, Region, RunOptions, StepTime } from '../device.ts';
import type { Layout } from './layout.ts';
import type { SerialQueue } from '../queue.ts';
import type { StepRunner } from './runner.ts';

/** A program that is ready to run, with its memory. */
export class WasmExecutable implements Executable {
  readonly #program: Program;
  readonly #layout: Layout;
  readonly #memory: WebAssembly.Memory;
  readonly #runner: StepRunner;
  readonly #queue: SerialQueue;
  readonly #onDispose: () => void;
  #disposal: Promise<void> | undefined;

  constructor(
    program: Program,
    layout: Layout,
    memory: WebAssembly.Memory,
    runner: StepRunner,
    queue: SerialQueue,
    onDispose: () => void,
  ) {
    this.#program = program;
    this.#layout = layout;
    this.#memory = memory;
    this.#runner = runner;
    this.#queue = queue;
    this.#onDispose = onDispose;
  }

  view(region: Region): Float32Array {
    this.#checkAlive();
    return new Float32Array(this.#memory.buffer, this.#layout.regions[region], this.#program.sizes[region]);
  }

  async prepare(group: number): Promise<void> {
    const range = this.#layout.prepare[group];
    if (range === undefined) throw invalidArgument(`The program has no prepare group ${group}.`);
    await this.#execute({}, () => this.#runner.run(...range, undefined));
  }

  async run(options: RunOptions = {}): Promise<void> {
    await this.#execute(options, () => this.#runner.run(...this.#layout.main, options.signal));
  }

  async profile(options: RunOptions = {}): Promise<StepTime[]> {
    const times = await this.#execute(options, () =>
      this.#runner.profile(...this.#layout.main, options.signal),
    );
    return this.#program.steps.map((step, i) => ({
      label: step.label,
      kernel: this.#program.kernels[step.kernel]?.name ?? '',
      milliseconds: times[i] ?? 0,
    }));
  }

  dispose(): Promise<void> {
    this.#disposal ??= this.#queue.add(async () => {
      await this.#runner.release();
      this.#onDispose();
    });
    return this.#disposal;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  /** Waits for its turn, then runs; false or undefined means that the signal stopped it. */
  async #execute<T>(options: RunOptions, run: () => Promise<T | false | undefined>): Promise<T> {
    this.#checkAlive();
    return this.#queue.add(async () => {
      const result = await run();
      if (result !== false && result !== undefined) return result;
      throw abortedError(options.signal);
    }, options.signal);
  }

  #checkAlive(): void {
    if (this.#disposal !== undefined) {
      throw new WidefieldError(
        'device-lost',
        'This executable has been disposed of: compile the program again.',
      );
    }
  }
}
