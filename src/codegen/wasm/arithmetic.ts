import type { ArithmeticNode, ArithmeticOp, Type, Value } from '../ir.ts';
import { writeDotBf16, writePackBf16 } from './bf16.ts';
import type { FunctionWriter } from './function.ts';
import type { PlainOp } from './opcodes.ts';

/** What the translation of an operation needs from the kernel around it. */
export interface OperandWriter {
  readonly writer: FunctionWriter;
  /** Puts a value on the stack. */
  push(value: Value): void;
  /** The node of a value that is written in place, so that it may be merged with its user. */
  inlined(value: Value): Value | undefined;
  /** Local number `slot` for intermediate results; no push may come between its use and its last read. */
  temporary(type: 'i32' | 'v128', slot: number): number;
  /** Whether the engine has relaxed SIMD. */
  readonly relaxed: boolean;
}

/** Operations that are one instruction, by operation and type of the first operand. */
const DIRECT: Readonly<Record<string, PlainOp>> = {
  ...byType('i32', {
    add: 'i32.add',
    sub: 'i32.sub',
    mul: 'i32.mul',
    div: 'i32.div_s',
    rem: 'i32.rem_s',
    shl: 'i32.shl',
    shr: 'i32.shr_s',
    and: 'i32.and',
    or: 'i32.or',
    lt: 'i32.lt_s',
    le: 'i32.le_s',
    eq: 'i32.eq',
    ne: 'i32.ne',
    toF32: 'f32.convert_i32_s',
    asF32: 'f32.reinterpret_i32',
  }),
  ...byType('f32', {
    neg: 'f32.neg',
    abs: 'f32.abs',
    sqrt: 'f32.sqrt',
    floor: 'f32.floor',
    toI32: 'i32.trunc_sat_f32_s',
    asI32: 'i32.reinterpret_f32',
    splat: 'f32x4.splat',
    add: 'f32.add',
    sub: 'f32.sub',
    mul: 'f32.mul',
    div: 'f32.div',
    lt: 'f32.lt',
    le: 'f32.le',
    eq: 'f32.eq',
    ne: 'f32.ne',
  }),
  ...byType('vec', {
    neg: 'f32x4.neg',
    abs: 'f32x4.abs',
    sqrt: 'f32x4.sqrt',
    floor: 'f32x4.floor',
    add: 'f32x4.add',
    sub: 'f32x4.sub',
    mul: 'f32x4.mul',
    div: 'f32x4.div',
    min: 'f32x4.pmin',
    max: 'f32x4.pmax',
    lt: 'f32x4.lt',
    le: 'f32x4.le',
    eq: 'f32x4.eq',
    ne: 'f32x4.ne',
  }),
  ...byType('bool', { and: 'i32.and', or: 'i32.or', not: 'i32.eqz' }),
  ...byType('mask', { and: 'v128.and', or: 'v128.or', not: 'v128.not' }),
};

/** Puts the result of an arithmetic operation on the stack. */
export function writeArithmetic(out: OperandWriter, node: ArithmeticNode): void {
  const [a, b, c] = node.args;
  if (a === undefined) throw new Error(`${node.op} has no operand`);
  const direct = DIRECT[`${node.op} ${a.type}`];
  if (direct !== undefined) {
    node.args.forEach((arg) => {
      out.push(arg);
    });
    out.writer.op(direct);
  } else if (b !== undefined && c !== undefined) {
    if (node.op === 'fma') writeFma(out, a, b, c);
    else if (node.op === 'dotBf16') writeDotBf16(out, a, b, c);
    else writeSelect(out, a, b, c);
  } else if (b !== undefined && (node.op === 'min' || node.op === 'max')) {
    writeScalarMinMax(out, node.op, a, b);
  } else if (b !== undefined && node.op === 'packBf16') {
    writePackBf16(out, a, b);
  } else if (b !== undefined && (node.op === 'zipLow' || node.op === 'zipHigh')) {
    out.push(a);
    out.push(b);
    out.writer.shuffle(node.op === 'zipLow' ? [0, 4, 1, 5] : [2, 6, 3, 7]);
  } else if (node.op === 'sumLanes' || node.op === 'maxLanes') {
    writeHalving(out, node.op === 'sumLanes' ? 'f32x4.add' : 'f32x4.pmax', a);
  } else if (node.op === 'pow2') {
    writePow2(out, a);
  } else {
    throw new Error(`no translation of ${node.op} of ${a.type}`);
  }
}

/** a · b + c. A negated first factor becomes a subtraction, which gives the same bits. */
function writeFma(out: OperandWriter, a: Value, b: Value, c: Value): void {
  const { writer } = out;
  const negated = out.inlined(a);
  const factor = negated?.op === 'neg' ? negated.args[0] : undefined;
  if (out.relaxed && a.type === 'vec') {
    for (const arg of [factor ?? a, b, c]) out.push(arg);
    writer.op(factor === undefined ? 'f32x4.relaxed_madd' : 'f32x4.relaxed_nmadd');
    return;
  }
  const ops = a.type === 'vec' ? 'f32x4' : 'f32';
  if (factor === undefined) {
    out.push(a);
    out.push(b);
    writer.op(`${ops}.mul`);
    out.push(c);
    writer.op(`${ops}.add`);
  } else {
    out.push(c);
    out.push(factor);
    out.push(b);
    writer.op(`${ops}.mul`);
    writer.op(`${ops}.sub`);
  }
}

function writeSelect(out: OperandWriter, condition: Value, a: Value, b: Value): void {
  out.push(a);
  out.push(b);
  out.push(condition);
  if (condition.type === 'mask') out.writer.op('v128.bitselect');
  else out.writer.select();
}

/** f32 has no pmin, so it borrows that of vectors; i32 compares and selects. */
function writeScalarMinMax(out: OperandWriter, op: 'min' | 'max', a: Value, b: Value): void {
  const { writer } = out;
  if (a.type === 'f32') {
    out.push(a);
    writer.op('f32x4.splat');
    out.push(b);
    writer.op('f32x4.splat');
    writer.op(op === 'min' ? 'f32x4.pmin' : 'f32x4.pmax');
    writer.extractLane0();
    return;
  }
  const first = out.temporary('i32', 0);
  const second = out.temporary('i32', 1);
  out.push(a);
  out.push(b);
  writer.set(second);
  writer.tee(first);
  writer.get(second);
  writer.get(first);
  writer.get(second);
  writer.op('i32.lt_s');
  // On the stack: a, b, a < b. The smaller one is a if a < b; of equal integers either will do.
  if (op === 'max') writer.op('i32.eqz');
  writer.select();
}

/** lane i += lane i + 2, then lane 0 += lane 1 (or the maximum), then lane 0. */
function writeHalving(out: OperandWriter, op: 'f32x4.add' | 'f32x4.pmax', vec: Value): void {
  const { writer } = out;
  const temporary = out.temporary('v128', 0);
  out.push(vec);
  writer.tee(temporary);
  writer.permute([2, 3, 2, 3], temporary);
  writer.op(op);
  writer.tee(temporary);
  writer.permute([1, 1, 1, 1], temporary);
  writer.op(op);
  writer.extractLane0();
}

/**
 * 2^n for integral n: adding 1.5 · 2^23 + 127 leaves n + 127 in the low bits of the sum, and a shift by 23
 * makes it the exponent, dropping the rest.
 */
function writePow2(out: OperandWriter, a: Value): void {
  const { writer } = out;
  const bias = 1.5 * 2 ** 23 + 127;
  out.push(a);
  if (a.type === 'vec') {
    writer.f32x4(bias);
    writer.op('f32x4.add');
    writer.i32(23);
    writer.op('i32x4.shl');
  } else {
    writer.f32(bias);
    writer.op('f32.add');
    writer.op('i32.reinterpret_f32');
    writer.i32(23);
    writer.op('i32.shl');
    writer.op('f32.reinterpret_i32');
  }
}

function byType(type: Type, ops: Partial<Record<ArithmeticOp, PlainOp>>): Record<string, PlainOp> {
  return Object.fromEntries(Object.entries(ops).map(([op, plain]) => [`${op} ${type}`, plain]));
}
