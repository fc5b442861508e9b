import { KernelBuilder } from '../../src/codegen/builder.ts';
import type { Variable } from '../../src/codegen/builder.ts';
import type { Buffer, Kernel, Type, Value } from '../../src/codegen/ir.ts';
import { Random } from '../../src/core/random.ts';

/** A random kernel and the number of floats that each of its global buffers needs. */
export interface RandomProgram {
  readonly kernel: Kernel;
  readonly lengths: Readonly<Record<string, number>>;
}

/** Floats of `y` and `z` that one task owns, and of `x` and the scratch buffers: indices reach WINDOW, the rest is slack. */
const WINDOW = 64;
const REGION = 2 * WINDOW;
const MAX_DEPTH = 3;

/**
 * Turns a list of integers into a well-typed kernel: each decision takes the next integer, and 0 where none is left,
 * so that a shorter list makes a smaller program (which is what fast-check shrinks towards).
 *
 * The kernel uses every operation, nested loops and conditions, variables of every type, two scratch buffers, a
 * table, and loads and stores that are always in bounds; tasks touch disjoint parts of `y` and `z`. Operands are kept where the
 * language defines the result: no i32 that does not fit, no division by zero, no `toI32` or `pow2` out of range,
 * no bits of a NaN.
 *
 * @param scalarFma false: `fma` of vectors only, for devices that round scalar ones otherwise
 */
export function randomProgram(choices: readonly number[], lanes: number, scalarFma = true): RandomProgram {
  return new Generator(choices, lanes, scalarFma).generate();
}

/** Fresh buffers for a random program: `x` and `y` with numbers of all magnitudes, `z` with zeros. */
export function randomBuffers(program: RandomProgram, key: string): Record<string, Float32Array> {
  const random = new Random(key);
  const special = [0, -0, 1, -1, Infinity, -Infinity, NaN, 1e-40, 3.4e38, 0.5];
  return Object.fromEntries(
    Object.entries(program.lengths).map(([name, length]) => {
      if (name === 'z') return [name, new Float32Array(length)];
      const values = random
        .array(length, 4)
        .map((value, i) => special[random.bits(i + length) % 40] ?? value);
      return [name, values];
    }),
  );
}

class Generator {
  readonly #choices: readonly number[];
  readonly #scalarFma: boolean;
  readonly #b: KernelBuilder;
  readonly #tasks: number;
  readonly #x: Buffer;
  readonly #y: Buffer;
  readonly #z: Buffer;
  readonly #table: Buffer;
  readonly #scratch: readonly [Buffer, Buffer];
  /** Values that may be used here, innermost block last. */
  readonly #scopes: Value[][] = [[]];
  readonly #variables: Variable[][] = [[]];
  #next = 0;

  constructor(choices: readonly number[], lanes: number, scalarFma: boolean) {
    this.#choices = choices;
    this.#scalarFma = scalarFma;
    this.#tasks = 1 + this.#choose(3);
    this.#b = new KernelBuilder({ name: 'random_program', description: 'random', lanes, tasks: this.#tasks });
    this.#x = this.#b.input('x');
    this.#y = this.#b.inout('y');
    this.#z = this.#b.output('z');
    this.#table = this.#b.table('c', new Random('table').array(REGION, 3));
    this.#scratch = [this.#b.scratch('s', REGION + 1), this.#b.scratch('t', REGION)];
  }

  generate(): RandomProgram {
    const b = this.#b;
    for (const buffer of this.#scratch) {
      b.for(0, buffer.length, 1, (i) => {
        b.store(buffer, i, b.toF32(i));
      });
    }
    this.#remember(b.task, b.f32(1.5), b.vec(-0.75));
    this.#remember(b.loadScalar(this.#x, 3), b.loadVec(this.#x, 5), b.loadBroadcast(this.#x, b.task, 2));
    this.#remember(b.lt(this.#pick('f32'), 0), b.lt(this.#pick('vec'), 0.25));
    this.#statements(0);
    this.#storeEverything();
    const length = REGION * this.#tasks;
    return { kernel: b.build(), lengths: { x: REGION, y: length, z: length } };
  }

  #choose(count: number): number {
    const choice = this.#choices[this.#next++] ?? 0;
    return Math.abs(choice) % count;
  }

  #statements(depth: number): void {
    const count = this.#choose(depth === 0 ? 60 : 12);
    for (let i = 0; i < count && this.#next < this.#choices.length; i++) this.#statement(depth);
  }

  #statement(depth: number): void {
    const b = this.#b;
    const kind = this.#choose(16);
    if (kind < 8) {
      this.#remember(this.#operation());
    } else if (kind === 8) {
      this.#remember(this.#load());
    } else if (kind <= 10) {
      this.#store();
    } else if (kind === 11) {
      const type = this.#chooseType();
      this.#variables.at(-1)?.push(b.variable(this.#pick(type)));
    } else if (kind === 12) {
      const variables = this.#variables.flat();
      const variable = variables[this.#choose(Math.max(1, variables.length))];
      if (variable === undefined) return;
      variable.set(this.#pick(variable.type));
      this.#remember(variable.get());
    } else if (kind === 13 && depth < MAX_DEPTH) {
      const start = this.#choose(2) === 0 ? b.i32(this.#choose(3) - 1) : b.and(this.#pick('i32'), 3);
      const end = this.#choose(2) === 0 ? b.i32(this.#choose(6)) : b.and(this.#pick('i32'), 3);
      b.for(start, end, 1 + this.#choose(3), (i) => {
        this.#nested(depth, i);
      });
    } else if (kind === 14 && depth < MAX_DEPTH) {
      const otherwise = this.#choose(2) === 1;
      b.if(
        this.#pick('bool'),
        () => {
          this.#nested(depth);
        },
        otherwise
          ? () => {
              this.#nested(depth);
            }
          : undefined,
      );
    } else {
      b.comment('a remark with */ in it');
      b.prefetch(this.#x, this.#pick('i32'), this.#choose(3));
      b.touch(this.#x, b.and(this.#pick('i32'), 7), this.#choose(3));
      const variables = this.#variables.flat();
      const variable = variables[this.#choose(Math.max(1, variables.length))];
      if (variable !== undefined) this.#remember(variable.get());
    }
  }

  #nested(depth: number, ...values: Value[]): void {
    this.#scopes.push([...values]);
    this.#variables.push([]);
    this.#statements(depth + 1);
    this.#store();
    this.#variables.pop();
    this.#scopes.pop();
  }

  #operation(): Value {
    const type = this.#chooseType();
    switch (type) {
      case 'i32':
        return this.#integer();
      case 'bool':
        return this.#truth('bool');
      case 'mask':
        return this.#truth('mask');
      default:
        return this.#float(type);
    }
  }

  #integer(): Value {
    const b = this.#b;
    const a = this.#pick('i32');
    const other = this.#pick('i32');
    const divisor = [2, 3, -5, 7][this.#choose(4)] ?? 2;
    const operations = [
      () => b.add(b.shr(a, 1), b.shr(other, 1)),
      () => b.sub(b.shr(a, 1), b.shr(other, 1)),
      () => b.mul(b.rem(a, 46_341), b.rem(other, 46_341)), // √2^31 is 46340.95
      () => b.div(a, divisor),
      () => b.rem(a, divisor),
      () => b.min(a, other),
      () => b.max(a, other),
      () => b.shl(a, this.#choose(32)),
      () => b.shr(a, this.#choose(32)),
      () => b.and(a, other),
      () => b.or(a, other),
      () => b.select(this.#pick('bool'), a, other),
      () => b.toI32(this.#clamped(this.#pick('f32'), -100000.5, 100000.5)),
      () => b.i32(this.#choose(2 ** 31) - 2 ** 30),
      () => b.asI32(this.#clamped(this.#pick('f32'), -1e30, 1e30)),
    ];
    return this.#chosen(operations);
  }

  #float(type: 'f32' | 'vec'): Value {
    const b = this.#b;
    const a = this.#pick(type);
    const other = this.#pick(type);
    const operations = [
      () => b.add(a, other),
      () => b.sub(a, other),
      () => b.mul(a, other),
      () => b.div(a, other),
      () => b.min(a, other),
      () => b.max(a, other),
      () => this.#multiplyAdd(a, other, this.#pick(type)),
      () => this.#multiplyAdd(b.neg(a), other, this.#pick(type)),
      () => b.neg(a),
      () => b.abs(a),
      () => b.sqrt(a),
      () => b.floor(a),
      () => b.pow2(b.floor(this.#clamped(a, -126, 127))),
      () => b.select(this.#pick('bool'), a, other),
      () =>
        type === 'vec' ? b.select(this.#pick('mask'), a, other) : b.select(this.#pick('bool'), other, a),
      () => (type === 'vec' ? b.vec(this.#pick('f32')) : b.toF32(this.#pick('i32'))),
      () =>
        type === 'vec' ? b.vec(b.loadScalar(this.#x, this.#choose(WINDOW))) : b.sumLanes(this.#pick('vec')),
      () => (type === 'vec' ? b.vec(this.#choose(1000) / 7) : b.maxLanes(this.#pick('vec'))),
      () => (type === 'vec' ? b.zipLow(a, other) : b.add(a, other)),
      () => (type === 'vec' ? b.zipHigh(a, other) : b.asF32(b.and(this.#pick('i32'), 0x7effffff))),
      () => this.#pair(type),
      () => (type === 'vec' ? b.dotBf16(this.#pair('vec'), this.#pair('vec'), a) : this.#pair('f32')),
    ];
    return this.#chosen(operations);
  }

  #truth(type: 'bool' | 'mask'): Value {
    const b = this.#b;
    const operand = type === 'mask' ? 'vec' : this.#choose(2) === 0 ? 'f32' : 'i32';
    const a = this.#pick(operand);
    const other = this.#pick(operand);
    const operations = [
      () => b.lt(a, other),
      () => b.le(a, other),
      () => b.eq(a, other),
      () => b.ne(a, other),
      () => b.not(this.#pick(type)),
      () => b.and(this.#pick(type), this.#pick(type)),
      () => b.or(this.#pick(type), this.#pick(type)),
    ];
    return this.#chosen(operations);
  }

  #multiplyAdd(x: Value, y: Value, z: Value): Value {
    const b = this.#b;
    return x.type === 'vec' || this.#scalarFma ? b.fma(x, y, z) : b.add(b.mul(x, y), z);
  }

  /** The value where it is a number between the bounds, else a bound or 0. */
  #clamped(value: Value, low: number, high: number): Value {
    const b = this.#b;
    const number = b.select(b.eq(value, value), value, 0);
    return b.min(b.max(number, low), high);
  }

  /** A pair of finite bfloat16, which is a finite float too, so that it may end up anywhere. */
  #pair(type: 'f32' | 'vec'): Value {
    const half = (): Value => this.#clamped(this.#pick(type), -1e30, 1e30);
    return this.#b.packBf16(half(), half());
  }

  #load(): Value {
    const b = this.#b;
    const [buffer, index, offset] = this.#place([this.#x, this.#y, this.#table, ...this.#scratch]);
    const operations = [
      () => b.loadVec(buffer, index, offset),
      () => b.loadScalar(buffer, index, offset),
      () => b.loadBroadcast(buffer, index, offset),
    ];
    return this.#chosen(operations);
  }

  #store(): void {
    const [buffer, index, offset] = this.#place([this.#y, this.#z, ...this.#scratch]);
    const kind = this.#choose(3);
    if (kind === 0) this.#b.store(buffer, index, this.#pick('vec'), offset);
    else if (kind === 1) this.#b.store(buffer, index, this.#pick('f32'), offset);
    else this.#b.stream(buffer, index, this.#pick('vec'), offset);
  }

  /** A place in bounds for vectors of up to 16 lanes, sometimes with an index that is negative without its offset. */
  #place(buffers: readonly Buffer[]): [Buffer, Value | number, number] {
    const b = this.#b;
    const buffer = buffers[this.#choose(buffers.length)] ?? this.#y;
    const perTask = buffer === this.#y || buffer === this.#z;
    const offset = this.#choose(WINDOW - 16);
    if (this.#choose(4) === 0 && !perTask) return [buffer, this.#choose(WINDOW), offset];
    const within = b.and(this.#pick('i32'), WINDOW - 1);
    const index = perTask ? b.add(b.mul(b.task, REGION), within) : within;
    switch (this.#choose(3)) {
      case 0:
        return [buffer, index, offset];
      case 1:
        return [buffer, b.sub(index, 300), offset + 300];
      default:
        return [buffer, b.add(index, offset + 9), -9];
    }
  }

  #storeEverything(): void {
    const b = this.#b;
    const start = b.mul(b.task, REGION);
    // But for some, which are dead then.
    const values = this.#visible()
      .slice(-40)
      .filter(() => this.#choose(4) !== 3);
    values.forEach((value, i) => {
      const offset = (i * 3) % (REGION - 16);
      if (value.type === 'f32' || value.type === 'vec') b.store(this.#z, start, value, offset);
      if (value.type === 'i32') b.store(this.#z, start, b.toF32(value), offset);
      if (value.type === 'bool') b.store(this.#z, start, b.select(value, b.f32(1), b.f32(2)), offset);
      if (value.type === 'mask') b.store(this.#z, start, b.select(value, b.vec(1), b.vec(2)), offset);
    });
  }

  #remember(...values: Value[]): void {
    this.#scopes.at(-1)?.push(...values);
  }

  #visible(): Value[] {
    return this.#scopes.flat();
  }

  #pick(type: Type): Value {
    const fitting = this.#visible().filter((value) => value.type === type);
    const value = fitting[fitting.length - 1 - this.#choose(fitting.length)];
    if (value === undefined) throw new Error(`no ${type} to pick`);
    return value;
  }

  #chooseType(): Type {
    return (['vec', 'f32', 'i32', 'mask', 'bool'] as const)[this.#choose(5)] ?? 'vec';
  }

  #chosen(operations: readonly (() => Value)[]): Value {
    const operation = operations[this.#choose(operations.length)];
    if (operation === undefined) throw new Error('no operation to choose');
    return operation();
  }
}
