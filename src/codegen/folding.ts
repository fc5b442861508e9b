import type { BinaryOp, Value } from './ir.ts';

/** The result of an i32 operation on constants or with a neutral element, if it is one; it may be out of range. */
export function foldI32(op: BinaryOp, a: Value, b: Value): number | Value | undefined {
  if (a.op === 'const' && b.op === 'const') return evaluateI32(op, a.value, b.value);
  const right = b.op === 'const' ? b.value : undefined;
  const left = a.op === 'const' ? a.value : undefined;
  if (op === 'add' && right === 0) return a;
  if (op === 'add' && left === 0) return b;
  if (op === 'sub' && right === 0) return a;
  if (op === 'mul' && (right === 0 || left === 0)) return 0;
  if (op === 'mul' && right === 1) return a;
  if (op === 'mul' && left === 1) return b;
  if (op === 'div' && right === 1) return a;
  if (op === 'rem' && right === 1) return 0;
  return undefined;
}

function evaluateI32(op: BinaryOp, a: number, b: number): number | undefined {
  switch (op) {
    case 'add':
      return a + b;
    case 'sub':
      return a - b;
    case 'mul':
      return a * b;
    case 'div':
      return b === 0 ? undefined : Math.trunc(a / b);
    case 'rem':
      return b === 0 ? undefined : a % b;
    case 'min':
      return b < a ? b : a;
    case 'max':
      return a < b ? b : a;
    default:
      return undefined;
  }
}

/** The result of a comparison of i32 constants. */
export function compareI32(op: BinaryOp, a: number, b: number): boolean {
  switch (op) {
    case 'lt':
      return a < b;
    case 'le':
      return a <= b;
    case 'eq':
      return a === b;
    default:
      return a !== b;
  }
}
