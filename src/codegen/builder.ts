import { WidefieldError } from '../core/errors.ts';
import { Blocks } from './blocks.ts';
import { Declarations } from './declarations.ts';
import { compareI32, foldI32 } from './folding.ts';
import type { ArithmeticOp, BinaryOp, Buffer, Kernel, Local, Type, UnaryOp, Value } from './ir.ts';
import { NUMERIC, commonType, requireType } from './typing.ts';
import type { Fail, Operand } from './typing.ts';

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
 * Builds one {@link Kernel}, statement by statement in program order.
 *
 * Types are checked here, so that a mistake is reported where it was made and not by a target's compiler.
 * Equal pure values are shared and integer constants folded; nothing else is rewritten.
 */
export class KernelBuilder {
  /** The index of the running task, i32. */
  readonly task: Value;
  readonly lanes: number;

  readonly #options: KernelOptions;
  readonly #fail: Fail = (op, message) => {
    throw new WidefieldError(
      'invalid-argument',
      `Kernel ${this.#options.name}, statement ${this.#blocks.statementCount} (${op}): ${message}.`,
    );
  };
  readonly #declarations = new Declarations(this.#fail);
  readonly #blocks = new Blocks();
  #nextValue = 0;
  #nextLocal = 0;

  constructor(options: KernelOptions) {
    this.#options = options;
    this.lanes = options.lanes;
    if (!/^[A-Za-z_]\w*$/.test(options.name)) this.#fail('kernel', 'the name must be a C identifier');
    if (!isPowerOfTwo(options.lanes)) this.#fail('kernel', 'lanes must be a power of two');
    if (!Number.isInteger(options.tasks) || options.tasks < 1) {
      this.#fail('kernel', `tasks must be a positive integer, got ${options.tasks}`);
    }
    this.task = { id: this.#nextValue++, type: 'i32', op: 'task' };
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
      this.#fail('scratch', `${name} must have a positive length, got ${length}`);
    }
    return this.#declarations.add({ name, space: 'thread', access: 'readwrite', length });
  }

  /** Declares a table of constants. */
  table(name: string, values: Float32Array): Buffer {
    if (values.length === 0) this.#fail('table', `${name} must have values`);
    const buffer: Buffer = { name, space: 'constant', access: 'read', length: values.length };
    return this.#declarations.addTable({ buffer, values });
  }

  // ---- constants and conversions ----------------------------------------------------------------

  i32(value: number): Value {
    if (!Number.isInteger(value) || value < -(2 ** 31) || value >= 2 ** 31) {
      this.#fail('i32', `${value} is not a 32-bit integer`);
    }
    return this.#constant('i32', value);
  }

  f32(value: number): Value {
    return this.#constant('f32', Math.fround(value));
  }

  /** A vector with `value` (a number or an f32) in every lane. */
  vec(value: Operand): Value {
    if (typeof value === 'number') return this.#constant('vec', Math.fround(value));
    return this.#unary('splat', value, ['f32'], 'vec');
  }

  toF32(a: Value): Value {
    return this.#unary('toF32', a, ['i32'], 'f32');
  }

  toI32(a: Value): Value {
    return this.#unary('toI32', a, ['f32'], 'i32');
  }

  // ---- arithmetic -------------------------------------------------------------------------------

  neg(a: Value): Value {
    return this.#unary('neg', a, ['f32', 'vec']);
  }

  abs(a: Value): Value {
    return this.#unary('abs', a, ['f32', 'vec']);
  }

  sqrt(a: Value): Value {
    return this.#unary('sqrt', a, ['f32', 'vec']);
  }

  floor(a: Value): Value {
    return this.#unary('floor', a, ['f32', 'vec']);
  }

  /** 2^a of an integral a in [-126, 127]. */
  pow2(a: Value): Value {
    return this.#unary('pow2', a, ['f32', 'vec']);
  }

  not(a: Value): Value {
    return this.#unary('not', a, ['bool', 'mask']);
  }

  /** The sum of all lanes, by halving. */
  sumLanes(a: Value): Value {
    return this.#unary('sumLanes', a, ['vec'], 'f32');
  }

  /** The largest lane. */
  maxLanes(a: Value): Value {
    return this.#unary('maxLanes', a, ['vec'], 'f32');
  }

  add(a: Operand, b: Operand): Value {
    return this.#binary('add', a, b, NUMERIC);
  }

  sub(a: Operand, b: Operand): Value {
    return this.#binary('sub', a, b, NUMERIC);
  }

  mul(a: Operand, b: Operand): Value {
    return this.#binary('mul', a, b, NUMERIC);
  }

  /** i32 division rounds towards zero. */
  div(a: Operand, b: Operand): Value {
    return this.#binary('div', a, b, NUMERIC);
  }

  rem(a: Operand, b: Operand): Value {
    return this.#binary('rem', a, b, ['i32']);
  }

  min(a: Operand, b: Operand): Value {
    return this.#binary('min', a, b, NUMERIC);
  }

  max(a: Operand, b: Operand): Value {
    return this.#binary('max', a, b, NUMERIC);
  }

  shl(a: Operand, b: Operand): Value {
    return this.#binary('shl', a, b, ['i32']);
  }

  shr(a: Operand, b: Operand): Value {
    return this.#binary('shr', a, b, ['i32']);
  }

  lt(a: Operand, b: Operand): Value {
    return this.#compare('lt', a, b);
  }

  le(a: Operand, b: Operand): Value {
    return this.#compare('le', a, b);
  }

  eq(a: Operand, b: Operand): Value {
    return this.#compare('eq', a, b);
  }

  ne(a: Operand, b: Operand): Value {
    return this.#compare('ne', a, b);
  }

  and(a: Operand, b: Operand): Value {
    return this.#binary('and', a, b, ['i32', 'bool', 'mask']);
  }

  or(a: Operand, b: Operand): Value {
    return this.#binary('or', a, b, ['i32', 'bool', 'mask']);
  }

  /** `a * b + c`, in one instruction where the target has it. */
  fma(a: Operand, b: Operand, c: Operand): Value {
    const type = commonType('fma', [a, b, c], ['f32', 'vec'], this.#fail);
    return this.#arithmetic('fma', type, [this.#lift(a, type), this.#lift(b, type), this.#lift(c, type)]);
  }

  /** `condition ? a : b`; both are evaluated. A vec takes a mask, or a bool for all lanes. */
  select(condition: Value, a: Operand, b: Operand): Value {
    const type = commonType('select', [a, b], NUMERIC, this.#fail);
    const wanted = type === 'vec' ? ['mask', 'bool'] : ['bool'];
    if (!wanted.includes(condition.type)) {
      this.#fail('select', `the condition must be ${wanted.join(' or ')}, got ${condition.type}`);
    }
    return this.#arithmetic('select', type, [condition, this.#lift(a, type), this.#lift(b, type)]);
  }

  /** A pair of bfloat16 in each lane: `low` and `high`, rounded to nearest even. */
  packBf16(low: Operand, high: Operand): Value {
    return this.#binary('packBf16', low, high, ['f32', 'vec']);
  }

  /** `c + high(a) · high(b) + low(a) · low(b)` of pairs of bfloat16 in vecs a and b, in one instruction where the target has it. */
  dotBf16(a: Value, b: Value, c: Value): Value {
    return this.#arithmetic('dotBf16', commonType('dotBf16', [a, b, c], ['vec'], this.#fail), [a, b, c]);
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
      this.#fail('store', `the value must be f32 or vec, got ${value.type}`);
    }
    this.#store('store', buffer, index, value, offset);
  }

  /**
   * Stores a vec to an output so large that nobody will find it in the caches: past them, where the target
   * can. Memory is then written without being read first, if a vec fills a cache line.
   */
  stream(buffer: Buffer, index: Operand, value: Value, offset = 0): void {
    if (value.type !== 'vec') this.#fail('stream', `the value must be a vec, got ${value.type}`);
    this.#store('stream', buffer, index, value, offset);
  }

  /** Hints that `buffer[index + offset]` will be read soon. Any index will do, even one outside the buffer. */
  prefetch(buffer: Buffer, index: Operand, offset = 0): void {
    this.#declarations.checkAccess('prefetch', buffer, offset);
    this.#blocks.push({ kind: 'prefetch', buffer, index: this.#index('prefetch', index), offset });
  }

  // ---- control ----------------------------------------------------------------------------------

  /** A mutable variable that starts as `init`. */
  variable(init: Value, name = 'v'): Variable {
    const local: Local = { id: this.#nextLocal++, type: init.type, name };
    this.#blocks.push({ kind: 'set', local, value: init });
    return {
      type: init.type,
      get: () => this.#define({ id: this.#nextValue++, type: local.type, op: 'get', local }),
      set: (value) => {
        const lifted = this.#lift(value, local.type, 'set');
        if (lifted.type !== local.type) {
          this.#fail('set', `${name} is ${local.type}, the value is ${lifted.type}`);
        }
        this.#blocks.push({ kind: 'set', local, value: lifted });
      },
    };
  }

  /** `for (i = start; i < end; i += step) body(i)`, with a constant positive step. */
  for(start: Operand, end: Operand, step: number, body: (i: Value) => void): void {
    if (!Number.isInteger(step) || step < 1) this.#fail('for', `the step must be positive, got ${step}`);
    const from = this.#lift(start, 'i32', 'for');
    const to = this.#lift(end, 'i32', 'for');
    if (from.type !== 'i32' || to.type !== 'i32') this.#fail('for', 'the bounds must be i32');
    if (from.op === 'const' && to.op === 'const') {
      if (from.value >= to.value) return;
      if (from.value + step >= to.value) {
        body(from);
        return;
      }
    }
    const local: Local = { id: this.#nextLocal++, type: 'i32', name: 'i' };
    const statements = this.#blocks.nested(() => {
      body(this.#define({ id: this.#nextValue++, type: 'i32', op: 'get', local }));
    });
    this.#blocks.push({ kind: 'for', local, start: from, end: to, step, body: statements });
  }

  /** Runs `then` where the condition holds, else `otherwise`. */
  if(condition: Value, then: () => void, otherwise: () => void = () => undefined): void {
    if (condition.type !== 'bool') this.#fail('if', `the condition must be bool, got ${condition.type}`);
    if (condition.op === 'const') {
      if (condition.value !== 0) then();
      else otherwise();
      return;
    }
    this.#blocks.push({
      kind: 'if',
      condition,
      then: this.#blocks.nested(then),
      otherwise: this.#blocks.nested(otherwise),
    });
  }

  /** A remark for readers of the emitted code. */
  comment(text: string): void {
    this.#blocks.push({ kind: 'comment', text: text.replace(/[\r\n]+/g, ' ').replaceAll('*/', '* /') });
  }

  /** The finished kernel. */
  build(): Kernel {
    const { name, description, lanes, tasks } = this.#options;
    const { buffers, scratch, tables } = this.#declarations;
    const body = this.#blocks.finished ?? this.#fail('build', 'a block is still open');
    return { name, description, lanes, tasks, buffers, scratch, tables, body };
  }

  // ---- inside -----------------------------------------------------------------------------------

  #index(op: string, index: Operand): Value {
    const lifted = this.#lift(index, 'i32', op);
    if (lifted.type !== 'i32') this.#fail(op, `the index must be i32, got ${lifted.type}`);
    return lifted;
  }

  #load(buffer: Buffer, index: Operand, offset: number, type: Type, broadcast: boolean): Value {
    this.#declarations.checkAccess('load', buffer, offset);
    if (buffer.access === 'write') this.#fail('load', `${buffer.name} is an output`);
    return this.#define({
      id: this.#nextValue++,
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
    if (buffer.access === 'read') this.#fail(op, `${buffer.name} is an input`);
    const streams = op === 'stream';
    this.#blocks.push({ kind: 'store', buffer, index: this.#index(op, index), offset, value, streams });
  }

  #unary(op: UnaryOp, a: Value, types: readonly Type[], result: Type = a.type): Value {
    requireType(op, a, types, this.#fail);
    return this.#arithmetic(op, result, [a]);
  }

  #binary(op: BinaryOp, a: Operand, b: Operand, types: readonly Type[]): Value {
    const type = commonType(op, [a, b], types, this.#fail);
    const left = this.#lift(a, type, op);
    const right = this.#lift(b, type, op);
    if (type === 'i32') {
      const folded = foldI32(op, left, right);
      if (folded !== undefined) return typeof folded === 'number' ? this.i32(folded) : folded;
    }
    return this.#arithmetic(op, type, [left, right]);
  }

  #compare(op: BinaryOp, a: Operand, b: Operand): Value {
    const type = commonType(op, [a, b], NUMERIC, this.#fail);
    const left = this.#lift(a, type, op);
    const right = this.#lift(b, type, op);
    if (type === 'i32' && left.op === 'const' && right.op === 'const') {
      return this.#constant('bool', compareI32(op, left.value, right.value) ? 1 : 0);
    }
    return this.#arithmetic(op, type === 'vec' ? 'mask' : 'bool', [left, right]);
  }

  #arithmetic(op: ArithmeticOp, type: Type, args: readonly Value[]): Value {
    const key = `${op} ${type} ${args.map((arg) => arg.id).join(' ')}`;
    return this.#blocks.share(key, () => this.#define({ id: this.#nextValue++, type, op, args }));
  }

  #constant(type: Type, value: number): Value {
    const key = `const ${type} ${Object.is(value, -0) ? '-0' : value}`;
    return this.#blocks.share(key, () => ({ id: this.#nextValue++, type, op: 'const', value }));
  }

  #define(value: Value): Value {
    this.#blocks.push({ kind: 'let', value });
    return value;
  }

  #lift(operand: Operand, type: Type, op = 'operand'): Value {
    if (typeof operand !== 'number') return operand;
    switch (type) {
      case 'i32':
        return this.i32(operand);
      case 'f32':
        return this.f32(operand);
      case 'vec':
        return this.vec(operand);
      default:
        return this.#fail(op, `a number cannot stand for a ${type}`);
    }
  }
}

function isPowerOfTwo(n: number): boolean {
  return Number.isInteger(n) && n > 0 && (n & (n - 1)) === 0;
}
