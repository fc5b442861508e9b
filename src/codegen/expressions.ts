import { WidefieldError } from '../core/errors.ts';
import { Blocks } from './blocks.ts';
import { compareI32, foldI32 } from './folding.ts';
import type { ArithmeticOp, BinaryOp, Type, UnaryOp, Value } from './ir.ts';
import { NUMERIC, commonType, requireType } from './typing.ts';
import type { Fail, Operand } from './typing.ts';

/**
 * Builds the values of one kernel: constants, conversions and arithmetic.
 *
 * Types are checked here, so that a mistake is reported where it was made and not by a target's compiler.
 * Equal pure values are shared and integer constants folded; nothing else is rewritten.
 */
export abstract class ExpressionBuilder {
  protected readonly blocks = new Blocks();
  protected readonly fail: Fail;
  #nextId = 0;

  /** @param kernel its name, for messages */
  constructor(kernel: string) {
    this.fail = (op, message) => {
      throw new WidefieldError(
        'invalid-argument',
        `Kernel ${kernel}, statement ${this.blocks.statementCount} (${op}): ${message}.`,
      );
    };
  }

  // ---- constants and conversions ----------------------------------------------------------------

  i32(value: number): Value {
    if (!Number.isInteger(value) || value < -(2 ** 31) || value >= 2 ** 31) {
      this.fail('i32', `${value} is not a 32-bit integer`);
    }
    return this.#constant('i32', value + 0); // which makes 0 of -0
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

  /** The f32 with the bits of an i32: how buffers, which hold floats, keep integers. Its bits must not be a NaN's. */
  asF32(a: Value): Value {
    return this.#unary('asF32', a, ['i32'], 'f32');
  }

  /** The i32 with the bits of an f32, as {@link asF32} made it. */
  asI32(a: Value): Value {
    return this.#unary('asI32', a, ['f32'], 'i32');
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

  /** By 0 … 31 bits, as {@link shr}. */
  shl(a: Operand, b: Operand): Value {
    return this.#shift('shl', a, b);
  }

  shr(a: Operand, b: Operand): Value {
    return this.#shift('shr', a, b);
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
    const type = commonType('fma', [a, b, c], ['f32', 'vec'], this.fail);
    return this.#arithmetic('fma', type, [this.lift(a, type), this.lift(b, type), this.lift(c, type)]);
  }

  /** `condition ? a : b`; both are evaluated. A vec takes a mask, or a bool for all lanes. */
  select(condition: Value, a: Operand, b: Operand): Value {
    const type = commonType('select', [a, b], NUMERIC, this.fail);
    const wanted = type === 'vec' ? ['mask', 'bool'] : ['bool'];
    if (!wanted.includes(condition.type)) {
      this.fail('select', `the condition must be ${wanted.join(' or ')}, got ${condition.type}`);
    }
    return this.#arithmetic('select', type, [condition, this.lift(a, type), this.lift(b, type)]);
  }

  /** A pair of bfloat16 in each lane: `low` and `high`, rounded to nearest even. */
  packBf16(low: Operand, high: Operand): Value {
    return this.#binary('packBf16', low, high, ['f32', 'vec']);
  }

  /** a₀ b₀ a₁ b₁ …: the first `lanes` of them. Shuffles of vectors are made of this and {@link zipHigh}. */
  zipLow(a: Value, b: Value): Value {
    return this.#binary('zipLow', a, b, ['vec']);
  }

  /** a₀ b₀ a₁ b₁ …: the last `lanes` of them. */
  zipHigh(a: Value, b: Value): Value {
    return this.#binary('zipHigh', a, b, ['vec']);
  }

  /** `c + high(a) · high(b) + low(a) · low(b)` of pairs of bfloat16 in vecs a and b, in one instruction where the target has it. */
  dotBf16(a: Value, b: Value, c: Value): Value {
    return this.#arithmetic('dotBf16', commonType('dotBf16', [a, b, c], ['vec'], this.fail), [a, b, c]);
  }

  // ---- inside -----------------------------------------------------------------------------------

  #unary(op: UnaryOp, a: Value, types: readonly Type[], result: Type = a.type): Value {
    requireType(op, a, types, this.fail);
    return this.#arithmetic(op, result, [a]);
  }

  #binary(op: BinaryOp, a: Operand, b: Operand, types: readonly Type[]): Value {
    const type = commonType(op, [a, b], types, this.fail);
    const left = this.lift(a, type, op);
    const right = this.lift(b, type, op);
    if (type === 'i32') {
      const folded = foldI32(op, left, right);
      if (folded !== undefined) return typeof folded === 'number' ? this.i32(folded) : folded;
    }
    return this.#arithmetic(op, type, [left, right]);
  }

  #shift(op: 'shl' | 'shr', a: Operand, b: Operand): Value {
    const bits = typeof b === 'number' ? b : b.op === 'const' ? b.value : 0;
    if (bits < 0 || bits > 31) this.fail(op, `bits must be from 0 to 31, got ${bits}`);
    return this.#binary(op, a, b, ['i32']);
  }

  #compare(op: BinaryOp, a: Operand, b: Operand): Value {
    const type = commonType(op, [a, b], NUMERIC, this.fail);
    const left = this.lift(a, type, op);
    const right = this.lift(b, type, op);
    if (type === 'i32' && left.op === 'const' && right.op === 'const') {
      return this.#constant('bool', compareI32(op, left.value, right.value) ? 1 : 0);
    }
    return this.#arithmetic(op, type === 'vec' ? 'mask' : 'bool', [left, right]);
  }

  #arithmetic(op: ArithmeticOp, type: Type, args: readonly Value[]): Value {
    const key = `${op} ${type} ${args.map((arg) => arg.id).join(' ')}`;
    return this.blocks.share(key, () => this.define({ id: this.newId(), type, op, args }));
  }

  #constant(type: Type, value: number): Value {
    const key = `const ${type} ${Object.is(value, -0) ? '-0' : value}`;
    return this.blocks.share(key, () => ({ id: this.newId(), type, op: 'const', value }));
  }

  /** The id of the next value. */
  protected newId(): number {
    return this.#nextId++;
  }

  /** Puts the computation of a value here in the program. */
  protected define(value: Value): Value {
    this.blocks.push({ kind: 'let', value });
    return value;
  }

  /** The operand as a value: a number becomes a constant of the type. */
  protected lift(operand: Operand, type: Type, op = 'operand'): Value {
    if (typeof operand !== 'number') return operand;
    switch (type) {
      case 'i32':
        return this.i32(operand);
      case 'f32':
        return this.f32(operand);
      case 'vec':
        return this.vec(operand);
      default:
        return this.fail(op, `a number cannot stand for a ${type}`);
    }
  }
}
