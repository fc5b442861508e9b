import { WidefieldError } from '../core/errors.ts';
import { highHalves, lowHalves, packPairs } from './bf16.ts';
import { fusedMultiplyAdd } from './fused.ts';
import type { ArithmeticNode, Buffer, Kernel, LoadNode, Statement, Value } from './ir.ts';
import { TaskAccesses } from './task-accesses.ts';
import type { Access } from './task-accesses.ts';

export interface InterpretOptions {
  /** Which tasks to run: [first, end). Default: all. */
  readonly tasks?: readonly [first: number, end: number];
  /** Whether `fma` rounds once (`fused`) or twice (`separate`, the default). Both are allowed meanings. */
  readonly fma?: 'separate' | 'fused';
}

/** Run-time values: i32 and f32 are numbers, bool a boolean, vec an array of f32, mask an array of booleans. */
type RuntimeValue = number | boolean | Float32Array | readonly boolean[];

/**
 * Runs a kernel on the given buffers: the meaning of the kernel language, one operation at a time.
 *
 * Slow on purpose: every load and store is checked, and scratch memory is filled with NaN before each task, so
 * that a kernel that relies on what it must not rely on fails here. Tasks run in no particular order, so none may
 * touch what another one writes.
 * Throws `invalid-argument`, naming kernel and buffer, for a missing buffer, an access outside of one, or to what
 * another task has written, a write of what another one has read, and for operands whose result the language leaves open (i32 results that do not fit,
 * division by zero, shifts by more than 31 bits, `toI32` or `pow2` out of range, the bits of a NaN).
 */
export function interpret(
  kernel: Kernel,
  buffers: Readonly<Record<string, Float32Array>>,
  options: InterpretOptions = {},
): void {
  const [first, end] = options.tasks ?? [0, kernel.tasks];
  const memory = new Map<Buffer, Float32Array>();
  for (const buffer of kernel.buffers) {
    const floats = buffers[buffer.name];
    if (floats === undefined) throw failure(kernel, `needs a buffer ${buffer.name}`);
    memory.set(buffer, floats);
  }
  for (const buffer of kernel.scratch) memory.set(buffer, new Float32Array(buffer.length));
  for (const { buffer, values } of kernel.tables) memory.set(buffer, values);
  const accesses = new Map<Buffer, TaskAccesses>();
  for (const buffer of kernel.buffers) {
    if (buffer.access !== 'read') accesses.set(buffer, new TaskAccesses(memory.get(buffer)?.length ?? 0));
  }
  for (let task = first; task < end; task++) {
    for (const buffer of kernel.scratch) memory.get(buffer)?.fill(NaN);
    new Task(kernel, memory, accesses, task, options.fma === 'fused').run(kernel.body);
  }
}

class Task {
  readonly #kernel: Kernel;
  readonly #memory: ReadonlyMap<Buffer, Float32Array>;
  /** Of buffers that are written. */
  readonly #accesses: ReadonlyMap<Buffer, TaskAccesses>;
  readonly #task: number;
  readonly #fused: boolean;
  readonly #values = new Map<number, RuntimeValue>();
  readonly #locals = new Map<number, RuntimeValue>();

  constructor(
    kernel: Kernel,
    memory: ReadonlyMap<Buffer, Float32Array>,
    accesses: ReadonlyMap<Buffer, TaskAccesses>,
    task: number,
    fused: boolean,
  ) {
    this.#kernel = kernel;
    this.#memory = memory;
    this.#accesses = accesses;
    this.#task = task;
    this.#fused = fused;
  }

  run(block: readonly Statement[]): void {
    for (const statement of block) this.#execute(statement);
  }

  #execute(statement: Statement): void {
    switch (statement.kind) {
      case 'let':
        this.#values.set(statement.value.id, this.#compute(statement.value));
        return;
      case 'set':
        this.#locals.set(statement.local.id, this.#value(statement.value));
        return;
      case 'store': {
        const value = this.#value(statement.value);
        const floats = typeof value === 'object' ? (value as Float32Array) : [value as number];
        const { buffer, offset } = statement;
        const [memory, start] = this.#locate('writes', buffer, statement.index, offset, floats.length);
        memory.set(floats, start);
        return;
      }
      case 'for': {
        const end = this.#number(statement.end);
        let i = this.#number(statement.start);
        this.#locals.set(statement.local.id, i);
        while (i < end) {
          this.run(statement.body);
          i = this.#fitting(i + statement.step, 'for');
          this.#locals.set(statement.local.id, i);
        }
        return;
      }
      case 'if':
        this.run(this.#value(statement.condition) === true ? statement.then : statement.otherwise);
        return;
      case 'prefetch':
        if (statement.isWithin) this.#locate('reads', statement.buffer, statement.index, statement.offset, 1);
        return;
      case 'comment':
        return;
    }
  }

  #value(value: Value): RuntimeValue {
    if (value.op === 'const') return this.#compute(value);
    if (value.op === 'task') return this.#task;
    const known = this.#values.get(value.id);
    if (known === undefined) throw failure(this.#kernel, `uses value ${value.id} where it is not defined`);
    return known;
  }

  #number(value: Value): number {
    return this.#value(value) as number;
  }

  #compute(value: Value): RuntimeValue {
    switch (value.op) {
      case 'const':
        if (value.type === 'vec') return new Float32Array(this.#kernel.lanes).fill(value.value);
        return value.type === 'bool' ? value.value !== 0 : value.value;
      case 'task':
        return this.#task;
      case 'get': {
        const held = this.#locals.get(value.local.id);
        if (held === undefined) throw failure(this.#kernel, `reads ${value.local.name} before it is set`);
        return held;
      }
      case 'load':
        return this.#load(value);
      default:
        return this.#arithmetic(value);
    }
  }

  #load(node: LoadNode): RuntimeValue {
    const { lanes } = this.#kernel;
    const count = node.type === 'vec' && !node.broadcast ? lanes : 1;
    const [memory, start] = this.#locate('reads', node.buffer, node.index, node.offset, count);
    if (count > 1) return memory.slice(start, start + count);
    if (node.type === 'f32') return memory[start] ?? NaN;
    // Copied from array to array: the bits may be a pair of bfloat16, which numbers do not keep.
    const single = memory.subarray(start, start + 1);
    const vec = new Float32Array(lanes);
    for (let lane = 0; lane < lanes; lane++) vec.set(single, lane);
    return vec;
  }

  #locate(verb: Access, buffer: Buffer, index: Value, offset: number, count: number): [Float32Array, number] {
    const memory = this.#memory.get(buffer);
    if (memory === undefined) throw failure(this.#kernel, `${verb} the undeclared buffer ${buffer.name}`);
    const start = this.#number(index) + offset;
    if (start < 0 || start + count > memory.length) {
      const what = count === 1 ? `element ${start}` : `elements ${start} to ${start + count - 1}`;
      const where = `${buffer.name}, which has ${memory.length} floats, in task ${this.#task}`;
      throw failure(this.#kernel, `${verb} ${what} of ${where}`);
    }
    const found = this.#accesses.get(buffer)?.note(this.#task, verb, start, count);
    if (found !== undefined) {
      const what = `${verb} element ${found.element} of ${buffer.name} in task ${this.#task}`;
      throw failure(this.#kernel, `${what}, which ${found.clash}`);
    }
    return [memory, start];
  }

  #arithmetic(node: ArithmeticNode): RuntimeValue {
    const { lanes } = this.#kernel;
    const [first, second, third] = node.args;
    const a = first === undefined ? undefined : this.#value(first);
    const b = second === undefined ? undefined : this.#value(second);
    const c = third === undefined ? undefined : this.#value(third);
    if (node.op === 'splat') return new Float32Array(lanes).fill(a as number);
    if (node.op === 'sumLanes') return halve(a as Float32Array, (x, y) => Math.fround(x + y));
    if (node.op === 'maxLanes') return halve(a as Float32Array, (x, y) => (x < y ? y : x));
    if (node.op === 'packBf16') {
      if (typeof a !== 'number') return packPairs(a as Float32Array, b as Float32Array);
      return packPairs(Float32Array.of(a), Float32Array.of(b as number))[0] ?? NaN;
    }
    if (node.op === 'zipLow' || node.op === 'zipHigh') {
      return zip(a as Float32Array, b as Float32Array, node.op === 'zipLow' ? 0 : lanes);
    }
    if (node.op === 'dotBf16') return this.#dotBf16(a as Float32Array, b as Float32Array, c as Float32Array);
    if (first?.type === 'i32') return this.#i32(node, a as number, b as number);
    if (node.type !== 'vec' && node.type !== 'mask') return this.#scalar(node, a, b, c);
    // Lane by lane; a bool condition of a select holds for every lane.
    const result = node.type === 'vec' ? new Float32Array(lanes) : new Array<boolean>(lanes);
    for (let lane = 0; lane < lanes; lane++) {
      result[lane] = this.#scalar(node, laneOf(a, lane), laneOf(b, lane), laneOf(c, lane));
    }
    return result;
  }

  #dotBf16(a: Float32Array, b: Float32Array, c: Float32Array): Float32Array {
    const sums = c.slice();
    for (const halves of [highHalves, lowHalves]) {
      const [left, right] = [halves(a), halves(b)];
      for (let i = 0; i < sums.length; i++)
        sums[i] = this.#fma(left[i] ?? NaN, right[i] ?? NaN, sums[i] ?? NaN);
    }
    return sums;
  }

  #fma(a: number, b: number, c: number): number {
    return this.#fused ? fusedMultiplyAdd(a, b, c) : Math.fround(Math.fround(a * b) + c);
  }

  /** Operations whose first operand is an i32. */
  #i32(node: ArithmeticNode, a: number, b: number): RuntimeValue {
    if ((node.op === 'div' || node.op === 'rem') && b === 0) {
      throw failure(this.#kernel, `divides the i32 ${a} by zero in task ${this.#task}`);
    }
    switch (node.op) {
      case 'add':
        return this.#fitting(a + b, node.op);
      case 'sub':
        return this.#fitting(a - b, node.op);
      case 'mul':
        return this.#fitting(a * b, node.op);
      case 'div':
        return this.#fitting(Math.trunc(a / b), node.op);
      case 'rem':
        this.#fitting(Math.trunc(a / b), node.op);
        return (a % b) | 0;
      case 'shl':
        this.#check(node, b, b >= 0 && b < 32);
        return a << b;
      case 'shr':
        this.#check(node, b, b >= 0 && b < 32);
        return a >> b;
      case 'and':
        return a & b;
      case 'or':
        return a | b;
      case 'toF32':
        return Math.fround(a);
      case 'asF32':
        this.#check(node, a, (a & 0x7fffffff) <= 0x7f800000);
        return withBits(a);
      default:
        return this.#scalar(node, a, b, undefined);
    }
  }

  /** The i32 result of an operation, which leaves open what does not fit. */
  #fitting(result: number, op: string): number {
    if (result === (result | 0)) return result | 0;
    throw failure(this.#kernel, `comes to ${result}, which is no i32, by ${op} in task ${this.#task}`);
  }

  /** Operations on f32 and bool, one lane of vec and mask, and those that are alike for i32. */
  #scalar(
    node: ArithmeticNode,
    first: RuntimeValue | undefined,
    second: RuntimeValue | undefined,
    third: RuntimeValue | undefined,
  ): number | boolean {
    const a = first as number;
    const b = second as number;
    const c = third as number;
    switch (node.op) {
      case 'neg':
        return -a;
      case 'abs':
        return Math.abs(a);
      case 'sqrt':
        return Math.fround(Math.sqrt(a));
      case 'floor':
        return Math.floor(a);
      case 'pow2':
        this.#check(node, a, Number.isNaN(a) || (Number.isInteger(a) && a >= -126 && a <= 127));
        return 2 ** a;
      case 'toI32':
        this.#check(node, a, Math.trunc(a) >= -(2 ** 31) && Math.trunc(a) < 2 ** 31);
        return Math.trunc(a) | 0;
      case 'asI32':
        this.#check(node, a, !Number.isNaN(a));
        return bitsOf(a);
      case 'add':
        return Math.fround(a + b);
      case 'sub':
        return Math.fround(a - b);
      case 'mul':
        return Math.fround(a * b);
      case 'div':
        return Math.fround(a / b);
      case 'min':
        return b < a ? b : a;
      case 'max':
        return a < b ? b : a;
      case 'fma':
        return this.#fma(a, b, c);
      case 'select':
        return a ? b : c;
      case 'not':
        return !a;
      case 'and':
        return a && b;
      case 'or':
        return a || b;
      case 'lt':
        return a < b;
      case 'le':
        return a <= b;
      case 'eq':
        return a === b;
      case 'ne':
        return a !== b;
      default:
        throw failure(this.#kernel, `has no meaning for ${node.op} of ${node.type}`);
    }
  }

  #check(node: ArithmeticNode, operand: number, inRange: boolean): void {
    if (!inRange) {
      throw failure(this.#kernel, `takes ${node.op} of ${operand}, out of its range, in task ${this.#task}`);
    }
  }
}

/** An f32's bits, and back. A JavaScript number holds every f32 exactly, NaN's bits aside. */
function bitsOf(value: number): number {
  return new DataView(Float32Array.of(value).buffer).getInt32(0, true);
}

function withBits(bits: number): number {
  return new DataView(Int32Array.of(bits).buffer).getFloat32(0, true);
}

function laneOf(value: RuntimeValue | undefined, lane: number): RuntimeValue | undefined {
  return typeof value === 'object' ? value[lane] : value;
}

/** `a.length` lanes of a₀ b₀ a₁ b₁ …, from `start` on; copied from array to array, which keeps bits. */
function zip(a: Float32Array, b: Float32Array, start: number): Float32Array {
  const zipped = new Float32Array(a.length);
  for (let i = 0; i < zipped.length; i++) {
    const source = (start + i) % 2 === 0 ? a : b;
    const lane = (start + i) >> 1;
    zipped.set(source.subarray(lane, lane + 1), i);
  }
  return zipped;
}

/** lane i = combine(lane i, lane i + s) for s = lanes/2, lanes/4, …, 1; then lane 0. */
function halve(vec: Float32Array, combine: (a: number, b: number) => number): number {
  const lanes = vec.slice();
  for (let s = lanes.length >> 1; s > 0; s >>= 1) {
    for (let i = 0; i < s; i++) lanes[i] = combine(lanes[i] ?? NaN, lanes[i + s] ?? NaN);
  }
  return lanes[0] ?? NaN;
}

function failure(kernel: Kernel, what: string): WidefieldError {
  return new WidefieldError('invalid-argument', `Kernel ${kernel.name} ${what}.`);
}
