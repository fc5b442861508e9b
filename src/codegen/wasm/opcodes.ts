/** Types of the operand stack. */
export type ValType = 'i32' | 'i64' | 'f32' | 'v128';

export const VAL_TYPE_CODES: Readonly<Record<ValType, number>> = {
  i32: 0x7f,
  i64: 0x7e,
  f32: 0x7d,
  v128: 0x7b,
};

export interface Opcode {
  readonly code: readonly number[];
  readonly params: readonly ValType[];
  readonly result: ValType | undefined;
}

/** Instructions without immediates. SIMD has the prefix 0xfd, then its number in LEB128. */
export const PLAIN = {
  'i32.eqz': op([0x45], 'i32', 'i32'),
  'i32.eq': op([0x46], 'i32 i32', 'i32'),
  'i32.ne': op([0x47], 'i32 i32', 'i32'),
  'i32.lt_s': op([0x48], 'i32 i32', 'i32'),
  'i32.le_s': op([0x4c], 'i32 i32', 'i32'),
  'i32.ge_s': op([0x4e], 'i32 i32', 'i32'),
  'i32.add': op([0x6a], 'i32 i32', 'i32'),
  'i32.sub': op([0x6b], 'i32 i32', 'i32'),
  'i32.mul': op([0x6c], 'i32 i32', 'i32'),
  'i32.div_s': op([0x6d], 'i32 i32', 'i32'),
  'i32.rem_s': op([0x6f], 'i32 i32', 'i32'),
  'i32.and': op([0x71], 'i32 i32', 'i32'),
  'i32.or': op([0x72], 'i32 i32', 'i32'),
  'i32.shl': op([0x74], 'i32 i32', 'i32'),
  'i32.shr_s': op([0x75], 'i32 i32', 'i32'),
  'i32.trunc_sat_f32_s': op([0xfc, 0x00], 'f32', 'i32'),
  'i32.reinterpret_f32': op([0xbc], 'f32', 'i32'),
  'f32.eq': op([0x5b], 'f32 f32', 'i32'),
  'f32.ne': op([0x5c], 'f32 f32', 'i32'),
  'f32.lt': op([0x5d], 'f32 f32', 'i32'),
  'f32.le': op([0x5f], 'f32 f32', 'i32'),
  'f32.abs': op([0x8b], 'f32', 'f32'),
  'f32.neg': op([0x8c], 'f32', 'f32'),
  'f32.floor': op([0x8e], 'f32', 'f32'),
  'f32.sqrt': op([0x91], 'f32', 'f32'),
  'f32.add': op([0x92], 'f32 f32', 'f32'),
  'f32.sub': op([0x93], 'f32 f32', 'f32'),
  'f32.mul': op([0x94], 'f32 f32', 'f32'),
  'f32.div': op([0x95], 'f32 f32', 'f32'),
  'f32.convert_i32_s': op([0xb2], 'i32', 'f32'),
  'f32.reinterpret_i32': op([0xbe], 'i32', 'f32'),
  'f32x4.splat': op([0xfd, 0x13], 'f32', 'v128'),
  'i32x4.splat': op([0xfd, 0x11], 'i32', 'v128'),
  'f32x4.eq': op([0xfd, 0x41], 'v128 v128', 'v128'),
  'f32x4.ne': op([0xfd, 0x42], 'v128 v128', 'v128'),
  'f32x4.lt': op([0xfd, 0x43], 'v128 v128', 'v128'),
  'f32x4.le': op([0xfd, 0x45], 'v128 v128', 'v128'),
  'v128.not': op([0xfd, 0x4d], 'v128', 'v128'),
  'v128.and': op([0xfd, 0x4e], 'v128 v128', 'v128'),
  'v128.or': op([0xfd, 0x50], 'v128 v128', 'v128'),
  'v128.bitselect': op([0xfd, 0x52], 'v128 v128 v128', 'v128'),
  'f32x4.floor': op([0xfd, 0x68], 'v128', 'v128'),
  'i32x4.shl': op([0xfd, 0xab, 0x01], 'v128 i32', 'v128'),
  'i32x4.shr_u': op([0xfd, 0xad, 0x01], 'v128 i32', 'v128'),
  'i32x4.add': op([0xfd, 0xae, 0x01], 'v128 v128', 'v128'),
  'f32x4.abs': op([0xfd, 0xe0, 0x01], 'v128', 'v128'),
  'f32x4.neg': op([0xfd, 0xe1, 0x01], 'v128', 'v128'),
  'f32x4.sqrt': op([0xfd, 0xe3, 0x01], 'v128', 'v128'),
  'f32x4.add': op([0xfd, 0xe4, 0x01], 'v128 v128', 'v128'),
  'f32x4.sub': op([0xfd, 0xe5, 0x01], 'v128 v128', 'v128'),
  'f32x4.mul': op([0xfd, 0xe6, 0x01], 'v128 v128', 'v128'),
  'f32x4.div': op([0xfd, 0xe7, 0x01], 'v128 v128', 'v128'),
  /** b < a ? b : a. */
  'f32x4.pmin': op([0xfd, 0xea, 0x01], 'v128 v128', 'v128'),
  /** a < b ? b : a. */
  'f32x4.pmax': op([0xfd, 0xeb, 0x01], 'v128 v128', 'v128'),
  /** a · b + c, rounded once or twice. */
  'f32x4.relaxed_madd': op([0xfd, 0x85, 0x02], 'v128 v128 v128', 'v128'),
  /** c − a · b, rounded once or twice. */
  'f32x4.relaxed_nmadd': op([0xfd, 0x86, 0x02], 'v128 v128 v128', 'v128'),
} as const satisfies Record<string, Opcode>;

/** Memory instructions; `align` is the binary logarithm of the hint, which for atomics is the access size. */
export const MEMORY = {
  'f32.load': memoryOp([0x2a], 'i32', 'f32', 2),
  'f32.store': memoryOp([0x38], 'i32 f32', undefined, 2),
  'v128.load': memoryOp([0xfd, 0x00], 'i32', 'v128', 2),
  'v128.load32_splat': memoryOp([0xfd, 0x09], 'i32', 'v128', 2),
  'v128.store': memoryOp([0xfd, 0x0b], 'i32 v128', undefined, 2),
  'memory.atomic.notify': memoryOp([0xfe, 0x00], 'i32 i32', 'i32', 2),
  'memory.atomic.wait32': memoryOp([0xfe, 0x01], 'i32 i32 i64', 'i32', 2),
  'i32.atomic.load': memoryOp([0xfe, 0x10], 'i32', 'i32', 2),
  'i32.atomic.store': memoryOp([0xfe, 0x17], 'i32 i32', undefined, 2),
  'i32.atomic.rmw.add': memoryOp([0xfe, 0x1e], 'i32 i32', 'i32', 2),
} as const satisfies Record<string, Opcode & { readonly align: number }>;

export type PlainOp = keyof typeof PLAIN;
export type MemoryOp = keyof typeof MEMORY;

function op(code: readonly number[], params: string, result: ValType | undefined): Opcode {
  return { code, params: params.split(' ').map(valType), result };
}

function memoryOp(
  code: readonly number[],
  params: string,
  result: ValType | undefined,
  align: number,
): Opcode & { readonly align: number } {
  return { ...op(code, params, result), align };
}

function valType(name: string): ValType {
  if (name === 'i32' || name === 'i64' || name === 'f32' || name === 'v128') return name;
  throw new Error(`no such type: ${name}`);
}
