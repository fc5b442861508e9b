import type { Value } from '../ir.ts';
import type { OperandWriter } from './arithmetic.ts';

/** A pair of bfloat16 in each lane. f32 borrows the instructions of vectors. */
export function writePackBf16(out: OperandWriter, low: Value, high: Value): void {
  const { writer } = out;
  const [lowLocal, highLocal] = [out.temporary('v128', 0), out.temporary('v128', 1)];
  for (const operand of [low, high]) {
    out.push(operand);
    if (operand.type === 'f32') writer.op('f32x4.splat');
  }
  writer.set(highLocal);
  writer.set(lowLocal);
  writeRounded(out, lowLocal);
  writer.i32(16);
  writer.op('i32x4.shr_u');
  writeRounded(out, highLocal);
  writeHighHalf(out);
  writer.op('v128.or');
  if (low.type === 'f32') writer.extractLane0();
}

/** bits + 0x7fff + (bits >> 16 & 1): rounded to nearest even in the high half. NaN becomes 0x7fc0…. */
function writeRounded({ writer }: OperandWriter, local: number): void {
  const constant = (value: number): void => {
    writer.i32(value);
    writer.op('i32x4.splat');
  };
  writer.get(local);
  writer.get(local);
  writer.i32(16);
  writer.op('i32x4.shr_u');
  constant(1);
  writer.op('v128.and');
  writer.op('i32x4.add');
  constant(0x7fff);
  writer.op('i32x4.add');
  constant(0x7fc00000);
  writer.get(local);
  writer.get(local);
  writer.op('f32x4.eq');
  writer.op('v128.bitselect');
}

/** low(a) · low(b) + (high(a) · high(b) + c). */
export function writeDotBf16(out: OperandWriter, a: Value, b: Value, c: Value): void {
  const { writer, relaxed } = out;
  const [left, right, sum] = [0, 1, 2].map((slot) => out.temporary('v128', slot)) as [number, number, number];
  for (const operand of [a, b, c]) out.push(operand);
  for (const local of [sum, right, left]) writer.set(local);
  const multiplyAdd = (half: () => void): void => {
    for (const local of [left, right]) {
      writer.get(local);
      half();
    }
    if (!relaxed) writer.op('f32x4.mul');
    writer.get(sum);
    writer.op(relaxed ? 'f32x4.relaxed_madd' : 'f32x4.add');
  };
  multiplyAdd(() => {
    writeHighHalf(out);
  });
  writer.set(sum);
  multiplyAdd(() => {
    writer.i32(16);
    writer.op('i32x4.shl');
  });
}

/** [pairs] → their high halves as floats. */
function writeHighHalf({ writer }: OperandWriter): void {
  writer.i32(-65536);
  writer.op('i32x4.splat');
  writer.op('v128.and');
}
