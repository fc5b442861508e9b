import { Declarations, isIdentifier } from './declarations.ts';
import { ExpressionBuilder } from './expressions.ts';
import type { Buffer, Kernel, Local, Type, Value } from './ir.ts';
import type { Operand } from './typing.ts';

export type { Operand } from './typing.ts';

/** A mutable variable; `get()` reads the value it holds at that point of the program. */
export interface Variable {
  readonly type: Type;
  get(): Value;
  set(value: Operand): void;
}

/** Options of a {@link KernelBuilder}. */
export interface KernelOptions {
  /** A C identifier. */
  readonly name: string;
  /** One line for readers of the emitted code. */
  readonly description: string;
  /** Floats in a `vec`: a power of two. WebAssembly has 4; C takes any. */
  readonly lanes: number;
  /** How many times the kernel body runs. */
  readonly tasks: number;
}

/**
 * Builds one {@link Kernel}, statement by statement in program order: its buffers, memory accesses and control here,
 * its arithmetic in {@link ExpressionBuilder}.
 */
export class KernelBuilder extends ExpressionBuilder {
  /** The index of the running task, i32. */
  readonly task: Value;
  readonly lanes: number;

  readonly #options: KernelOptions;
  readonly #declarations = new Declarations(this.fail);
  #nextLocal = 0;

  constructor(options: KernelOptions) {
    super(options.name);
    this.#options = options;
    this.lanes = options.lanes;
    if (!isIdentifier(options.name)) this.fail('kernel', 'the name must be a C identifier');
    if (!isPowerOfTwo(options.lanes)) this.fail('kernel', 'lanes must be a power of two');
    if (!Number.isInteger(options.tasks) || options.tasks < 1) {
      this.fail('kernel', `tasks must be a positive integer, got ${options.tasks}`);
    }
    this.task = { id: this.newId(), type: 'i32', op: 'task' };
  }

  // ---- buffers ----------------------------------------------------------------------------------

  /** Declares a buffer that the kernel reads. */
  input(name: string): Buffer {
    return this.#declarations.add({ name, space: 'global', access: 'read', length: 0 });
  }

  /** Declares a buffer that the kernel writes. */
  output(name: string): Buffer {
    return this.#declarations.add({ name, space: 'global', access: 'write', length: 0 });
  }

  /** Declares a buffer that the kernel reads and writes. */
  inout(name: string): Buffer {
    return this.#declarations.add({ name, space: 'global', access: 'readwrite', length: 0 });
  }

  /** Declares `length` floats of scratch memory of the running thread, undefined at task start. */
  scratch(name: string, length: number): Buffer {
    if (!Number.isInteger(length) || length < 1) {
      this.fail('scratch', `${name} must have a positive length, got ${length}`);
    }
    return this.#declarations.add({ name, space: 'thread', access: 'readwrite', length });
  }

  /** Declares a table of constants. */
  table(name: string, values: Float32Array): Buffer {
    if (values.length === 0) this.fail('table', `${name} must have values`);
    const buffer: Buffer = { name, space: 'constant', access: 'read', length: values.length };
    return this.#declarations.addTable({ buffer, values });
  }

  // ---- memory -----------------------------------------------------------------------------------

  /** The f32 at `buffer[index + offset]`. */
  loadScalar(buffer: Buffer, index: Operand, offset = 0): Value {
    return this.#load(buffer, index, offset, 'f32', false);
  }

  /** The vec at `buffer[index + offset …]`; any alignment. */
  loadVec(buffer: Buffer, index: Operand, offset = 0): Value {
    return this.#load(buffer, index, offset, 'vec', false);
  }

  /** A vec with `buffer[index + offset]` in every lane. */
  loadBroadcast(buffer: Buffer, index: Operand, offset = 0): Value {
    return this.#load(buffer, index, offset, 'vec', true);
  }

  /** Stores an f32, or a vec to the `lanes` floats from `buffer[index + offset]` on. */
  store(buffer: Buffer, index: Operand, value: Value, offset = 0): void {
    if (value.type !== 'f32' && value.type !== 'vec') {
      this.fail('store', `the value must be f32 or vec, got ${value.type}`);
    }
    this.#store('store', buffer, index, value, offset);
  }

  /**
   * Stores a vec to an output so large that nobody will find it in the caches: past them, where the target
   * can. Memory is then written without being read first, if a vec fills a cache line.
   */
  stream(buffer: Buffer, index: Operand, value: Value, offset = 0): void {
    if (value.type !== 'vec') this.fail('stream', `the value must be a vec, got ${value.type}`);
    this.#store('stream', buffer, index, value, offset);
  }

  /** Hints that `buffer[index + offset]` will be read soon. Any index will do, even one outside the buffer. */
  prefetch(buffer: Buffer, index: Operand, offset = 0): void {
    this.#prefetch('prefetch', buffer, index, offset);
  }

  /**
   * Hints that `buffer[index + offset]`, an element within the buffer, will be read soon. Where the target has no hints, it
   * is loaded and dropped: a core does not wait for what nobody uses, unless it comes from so far away that loads queue up.
   */
  touch(buffer: Buffer, index: Operand, offset = 0): void {
    this.#prefetch('touch', buffer, index, offset);
  }

  #prefetch(what: 'prefetch' | 'touch', buffer: Buffer, index: Operand, offset: number): void {
    this.#declarations.checkAccess(what, buffer, offset);
    const isWithin = what === 'touch';
    this.blocks.push({ kind: 'prefetch', buffer, index: this.#index(what, index), offset, isWithin });
  }

  // ---- control ----------------------------------------------------------------------------------

  /** A mutable variable that starts as `init`. Several may have the same name. */
  variable(init: Value, name = 'v'): Variable {
    if (!isIdentifier(name)) this.fail('variable', `${name} is not a C identifier`);
    const local: Local = { id: this.#nextLocal++, type: init.type, name };
    this.blocks.push({ kind: 'set', local, value: init });
    return {
      type: init.type,
      get: () => this.define({ id: this.newId(), type: local.type, op: 'get', local }),
      set: (value) => {
        const lifted = this.lift(value, local.type, 'set');
        if (lifted.type !== local.type) {
          this.fail('set', `${name} is ${local.type}, the value is ${lifted.type}`);
        }
        this.blocks.push({ kind: 'set', local, value: lifted });
      },
    };
  }

  /** `for (i = start; i < end; i += step) body(i)`, with a constant positive step. */
  for(start: Operand, end: Operand, step: number, body: (i: Value) => void): void {
    if (!Number.isInteger(step) || step < 1) this.fail('for', `the step must be positive, got ${step}`);
    const from = this.lift(start, 'i32', 'for');
    const to = this.lift(end, 'i32', 'for');
    if (from.type !== 'i32' || to.type !== 'i32') this.fail('for', 'the bounds must be i32');
    if (from.op === 'const' && to.op === 'const') {
      if (from.value >= to.value) return;
      if (from.value + step >= to.value) {
        body(from);
        return;
      }
    }
    const local: Local = { id: this.#nextLocal++, type: 'i32', name: 'i' };
    const statements = this.blocks.nested(() => {
      body(this.define({ id: this.newId(), type: 'i32', op: 'get', local }));
    });
    this.blocks.push({ kind: 'for', local, start: from, end: to, step, body: statements });
  }

  /** Runs `then` where the condition holds, else `otherwise`. */
  if(condition: Value, then: () => void, otherwise: () => void = () => undefined): void {
    if (condition.type !== 'bool') this.fail('if', `the condition must be bool, got ${condition.type}`);
    if (condition.op === 'const') {
      if (condition.value !== 0) then();
      else otherwise();
      return;
    }
    this.blocks.push({
      kind: 'if',
      condition,
      then: this.blocks.nested(then),
      otherwise: this.blocks.nested(otherwise),
    });
  }

  /** A remark for readers of the emitted code. */
  comment(text: string): void {
    this.blocks.push({ kind: 'comment', text });
  }

  /** The finished kernel. */
  build(): Kernel {
    const { name, description, lanes, tasks } = this.#options;
    const { buffers, scratch, tables } = this.#declarations;
    const body = this.blocks.finished ?? this.fail('build', 'a block is still open');
    return { name, description, lanes, tasks, buffers, scratch, tables, body };
  }

  // ---- inside -----------------------------------------------------------------------------------

  #index(op: string, index: Operand): Value {
    const lifted = this.lift(index, 'i32', op);
    if (lifted.type !== 'i32') this.fail(op, `the index must be i32, got ${lifted.type}`);
    return lifted;
  }

  #load(buffer: Buffer, index: Operand, offset: number, type: Type, broadcast: boolean): Value {
    this.#declarations.checkAccess('load', buffer, offset);
    if (buffer.access === 'write') this.fail('load', `${buffer.name} is an output`);
    return this.define({
      id: this.newId(),
      type,
      op: 'load',
      buffer,
      index: this.#index('load', index),
      offset,
      broadcast,
    });
  }

  #store(op: 'store' | 'stream', buffer: Buffer, index: Operand, value: Value, offset: number): void {
    this.#declarations.checkAccess(op, buffer, offset);
    if (buffer.access === 'read') this.fail(op, `${buffer.name} is an input`);
    const streams = op === 'stream';
    this.blocks.push({ kind: 'store', buffer, index: this.#index(op, index), offset, value, streams });
  }
}

function isPowerOfTwo(n: number): boolean {
  return Number.isInteger(n) && n > 0 && (n & (n - 1)) === 0;
}
