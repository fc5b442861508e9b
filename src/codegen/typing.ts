import type { Type, Value } from './ir.ts';

/** A value, or a number that takes the type its place asks for. */
export type Operand = Value | number;

/** Reports a mistake in operation `op`; never returns. */
export type Fail = (op: string, message: string) => never;

/** The types that take arithmetic. */
export const NUMERIC: readonly Type[] = ['i32', 'f32', 'vec'];

/** The one type that all operands have, numbers aside. It must be among `types`. */
export function commonType(
  op: string,
  operands: readonly Operand[],
  types: readonly Type[],
  fail: Fail,
): Type {
  const typed = operands.filter((operand) => typeof operand !== 'number');
  const first = typed[0];
  const type = first === undefined && types.includes('i32') ? 'i32' : first?.type;
  if (type === undefined) return fail(op, 'at least one operand must be a value');
  const got = operands.map((operand) => (typeof operand === 'number' ? type : operand.type));
  if (!types.includes(type) || got.some((other) => other !== type)) {
    fail(op, `expected equal types among ${types.join(', ')}, got ${got.join(' and ')}`);
  }
  return type;
}

/** Fails unless the value has one of the types. */
export function requireType(op: string, value: Value, types: readonly Type[], fail: Fail): void {
  if (!types.includes(value.type)) fail(op, `expected ${types.join(' or ')}, got ${value.type}`);
}
