import { WidefieldError } from '../../core/errors.ts';
import { directOperands, nestedBlocks } from '../inline.ts';
import type { Buffer, Kernel, LoadNode, Local, Statement, Type, Value } from '../ir.ts';
import { TABLES, addressing, foldsOffset } from './addressing.ts';
import type { Addressing } from './addressing.ts';
import { writeArithmetic } from './arithmetic.ts';
import type { OperandWriter } from './arithmetic.ts';
import type { FunctionWriter, Label, Signature } from './function.ts';
import { addressResource, lifetimes, localResource, valueResource } from './lifetimes.ts';
import type { Lifetimes, Resource } from './lifetimes.ts';
import type { MemoryOp, ValType } from './opcodes.ts';
import { blockEnds } from './pressure.ts';

/** Kernel functions take the byte address of each global buffer, that of the thread's scratch, and the task. */
export function kernelSignature(kernel: Kernel): Signature {
  return { params: Array.from({ length: kernel.buffers.length + 2 }, () => 'i32' as const) };
}

export interface KernelWriterOptions {
  /** Whether to use relaxed SIMD. */
  readonly relaxed: boolean;
  /** The byte address of the kernel's tables. */
  readonly tables: number;
}

/**
 * Writes the body of a kernel's function.
 * Throws `unsupported` for kernels whose vectors are not 128 bits wide.
 */
export function writeKernel(kernel: Kernel, writer: FunctionWriter, options: KernelWriterOptions): void {
  if (kernel.lanes !== 4) {
    throw new WidefieldError(
      'unsupported',
      `WebAssembly vectors have 4 lanes: build kernel ${kernel.name} with lanes = 4, not ${kernel.lanes}.`,
    );
  }
  new KernelWriter(kernel, writer, options).write();
}

const VAL_TYPES: Readonly<Record<Type, ValType>> = {
  i32: 'i32',
  f32: 'f32',
  vec: 'v128',
  bool: 'i32',
  mask: 'v128',
};

class KernelWriter implements OperandWriter {
  readonly writer: FunctionWriter;
  readonly relaxed: boolean;
  readonly #tables: number;
  readonly #kernel: Kernel;
  readonly #addressing: Addressing;
  readonly #lifetimes: Lifetimes;
  /** The WebAssembly local that holds a resource now. */
  readonly #locals = new Map<Resource, { readonly type: ValType; readonly index: number }>();
  /** Locals that hold nothing any more. */
  readonly #free: Record<ValType, number[]> = { i32: [], i64: [], f32: [], v128: [] };
  readonly #temporaries = new Map<string, number>();

  constructor(kernel: Kernel, writer: FunctionWriter, options: KernelWriterOptions) {
    this.writer = writer;
    this.relaxed = options.relaxed;
    this.#tables = options.tables;
    this.#kernel = kernel;
    this.#addressing = addressing(kernel);
    this.#lifetimes = lifetimes(kernel, (buffer) => this.#addressing.base(buffer));
  }

  write(): void {
    const task = findTask(this.#kernel);
    if (task !== undefined) this.#shareAddresses(task, this.#addressing.taskParam);
    this.#block(this.#kernel.body);
  }

  // ---- statements -------------------------------------------------------------------------------

  #block(statements: readonly Statement[], before?: (statement: Statement) => void): void {
    for (const statement of statements) {
      before?.(statement);
      this.#statement(statement);
      for (const resource of this.#lifetimes.endingAt(statement)) this.#release(resource);
    }
  }

  #statement(statement: Statement): void {
    switch (statement.kind) {
      case 'let':
        if (this.#lifetimes.placement(statement.value) === 'named') this.#let(statement.value);
        return;
      case 'set':
        this.push(statement.value);
        this.writer.set(this.#variable(statement.local));
        return;
      case 'store': {
        const { buffer, index, offset, value } = statement;
        const bytes = this.#pushAddress(buffer, index, offset);
        this.push(value);
        this.writer.memory(value.type === 'vec' ? 'v128.store' : 'f32.store', bytes);
        return;
      }
      case 'for':
        this.#for(statement);
        return;
      case 'if':
        this.push(statement.condition);
        this.writer.if(
          () => {
            this.#block(statement.then);
          },
          statement.otherwise.length === 0
            ? undefined
            : () => {
                this.#block(statement.otherwise);
              },
        );
        return;
      case 'prefetch': {
        // There is no such hint.
        if (!statement.isWithin) return;
        const bytes = this.#pushAddress(statement.buffer, statement.index, statement.offset);
        this.writer.memory('f32.load', bytes);
        this.writer.drop();
        return;
      }
      case 'comment':
        return;
    }
  }

  #let(value: Value): void {
    const shared = this.#lifetimes.sharedBases(value);
    const step = this.#lifetimes.stepFrom(value);
    if (step) {
      for (const base of shared) {
        this.writer.get(this.#localOf(addressResource(base, step.from)));
        this.writer.i32(4 * step.by);
        this.writer.op('i32.add');
        this.writer.set(this.#occupy(addressResource(base, value), 'i32'));
      }
      return;
    }
    this.#compute(value);
    const local = this.#occupy(valueResource(value), VAL_TYPES[value.type]);
    this.writer.set(local);
    this.#shareAddresses(value, local);
    if (shared.length > 0 && !this.#lifetimes.isRead(value)) this.#release(valueResource(value));
  }

  /** The condition is tested at the end of a round; before the first one only if it is not known to hold. */
  #for(statement: Extract<Statement, { kind: 'for' }>): void {
    const { writer } = this;
    const { start, end, step } = statement;
    const local = this.#variable(statement.local);
    this.push(start);
    writer.set(local);
    const limit = end.op === 'const' ? undefined : this.#take('i32');
    if (limit !== undefined) {
      this.push(end);
      writer.set(limit);
    }
    const pushEnd = (): void => {
      if (limit === undefined) this.push(end);
      else writer.get(limit);
    };
    const ends = blockEnds(statement.body, this.#lifetimes, this.relaxed ? 0 : 1);
    const rounds = (exit?: Label): void => {
      let count = 0;
      // Ends a basic block by a branch that is never taken: in the loop, its variable is below the end. Each such
      // branch compares with another number, so that engines do not leave all but the first out.
      const endBlock = (next: Statement): void => {
        if (exit === undefined || !ends.has(next)) return;
        count++;
        writer.get(local);
        if (end.op === 'const') {
          writer.i32(end.value + count);
        } else {
          writer.i32(count);
          writer.op('i32.sub');
          pushEnd();
        }
        writer.op('i32.ge_s');
        writer.branchIf(exit);
      };
      writer.loop((again) => {
        this.#block(statement.body, endBlock);
        writer.get(local);
        writer.i32(step);
        writer.op('i32.add');
        writer.tee(local);
        pushEnd();
        writer.op('i32.lt_s');
        writer.branchIf(again);
      });
    };
    const loop = (): void => {
      if (ends.size > 0) writer.block(rounds);
      else rounds();
    };
    if (start.op === 'const' && end.op === 'const' && start.value < end.value) {
      loop();
    } else {
      writer.get(local);
      pushEnd();
      writer.op('i32.lt_s');
      writer.if(loop);
    }
    if (limit !== undefined) this.#free.i32.push(limit);
  }

  // ---- values -----------------------------------------------------------------------------------

  push(value: Value): void {
    if (value.op === 'const' || this.inlined(value) !== undefined) this.#compute(value);
    else if (value.op === 'task') this.writer.get(this.#addressing.taskParam);
    else this.writer.get(this.#localOf(valueResource(value)));
  }

  inlined(value: Value): Value | undefined {
    return this.#lifetimes.placement(value) === 'inline' ? value : undefined;
  }

  temporary(type: 'i32' | 'v128', slot: number): number {
    const key = `${type} ${slot}`;
    const known = this.#temporaries.get(key);
    if (known !== undefined) return known;
    const local = this.writer.local(type);
    this.#temporaries.set(key, local);
    return local;
  }

  #compute(value: Value): void {
    switch (value.op) {
      case 'const':
        if (value.type === 'vec') this.writer.f32x4(value.value);
        else if (value.type === 'f32') this.writer.f32(value.value);
        else this.writer.i32(value.value);
        return;
      case 'task':
        this.writer.get(this.#addressing.taskParam);
        return;
      case 'get':
        this.writer.get(this.#localOf(localResource(value.local)));
        return;
      case 'load': {
        const bytes = this.#pushAddress(value.buffer, value.index, value.offset);
        this.writer.memory(loadInstruction(value), bytes);
        return;
      }
      case 'splat': {
        // A splat of a loaded float is one instruction.
        const source = value.args[0];
        const load = source === undefined ? undefined : this.inlined(source);
        if (load?.op === 'load') {
          const bytes = this.#pushAddress(load.buffer, load.index, load.offset);
          this.writer.memory('v128.load32_splat', bytes);
          return;
        }
        writeArithmetic(this, value);
        return;
      }
      default:
        writeArithmetic(this, value);
    }
  }

  // ---- memory -----------------------------------------------------------------------------------

  /** Pushes the address of `buffer[index + offset]`, less a constant number of bytes, which it returns. */
  #pushAddress(buffer: Buffer, index: Value, offset: number): number {
    const { writer } = this;
    const base = this.#addressing.base(buffer);
    const constant = index.op === 'const' ? index.value : 0;
    const bytes = this.#addressing.start(buffer) + 4 * (offset + constant);
    if (index.op === 'const') {
      this.#pushBase(base);
    } else if (this.#lifetimes.sharedBases(index).includes(base)) {
      writer.get(this.#localOf(addressResource(base, index)));
    } else {
      this.push(index);
      this.#scaleAndAdd(base);
    }
    if (foldsOffset(bytes)) return bytes;
    writer.i32(bytes);
    writer.op('i32.add');
    return 0;
  }

  /** Computes `base + 4 · index` once for each base that several accesses add the index to. */
  #shareAddresses(index: Value, local: number): void {
    for (const base of this.#lifetimes.sharedBases(index)) {
      this.writer.get(local);
      this.#scaleAndAdd(base);
      this.writer.set(this.#occupy(addressResource(base, index), 'i32'));
    }
  }

  /** [index] → base + 4 · index. */
  #scaleAndAdd(base: number): void {
    this.writer.i32(2);
    this.writer.op('i32.shl');
    this.#pushBase(base);
    this.writer.op('i32.add');
  }

  #pushBase(base: number): void {
    if (base === TABLES) this.writer.i32(this.#tables);
    else this.writer.get(base);
  }

  // ---- locals -----------------------------------------------------------------------------------

  #variable(local: Local): number {
    const resource = localResource(local);
    return this.#locals.get(resource)?.index ?? this.#occupy(resource, VAL_TYPES[local.type]);
  }

  #localOf(resource: Resource): number {
    const local = this.#locals.get(resource);
    if (local === undefined)
      throw new Error(`kernel ${this.#kernel.name}: ${resource} is used where it is not held`);
    return local.index;
  }

  #occupy(resource: Resource, type: ValType): number {
    const index = this.#take(type);
    this.#locals.set(resource, { type, index });
    return index;
  }

  #take(type: ValType): number {
    return this.#free[type].pop() ?? this.writer.local(type);
  }

  #release(resource: Resource): void {
    const local = this.#locals.get(resource);
    if (local === undefined) return;
    this.#locals.delete(resource);
    this.#free[local.type].push(local.index);
  }
}

function loadInstruction(node: LoadNode): MemoryOp {
  if (node.type === 'f32') return 'f32.load';
  return node.broadcast ? 'v128.load32_splat' : 'v128.load';
}

/** The value that stands for the task, if anything uses it. */
function findTask(kernel: Kernel): Value | undefined {
  let task: Value | undefined;
  const look = (value: Value): void => {
    if (value.op === 'task') task = value;
  };
  const visit = (block: readonly Statement[]): void => {
    for (const statement of block) {
      directOperands(statement).forEach(look);
      nestedBlocks(statement).forEach(visit);
    }
  };
  visit(kernel.body);
  return task;
}
