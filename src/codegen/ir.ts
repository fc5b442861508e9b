/**
 * The kernel language: a tiny typed program over flat float buffers.
 *
 * A kernel is one function of a task index. It is executed once for every task in `0 … tasks - 1`, in
 * any order and on any thread; tasks of one kernel must not write what another task touches. Inside,
 * statements run in order; every value is computed once, where it was built. All shapes are constants,
 * so that the target's compiler sees straight-line code and constant strides.
 *
 * Types: `i32` (indices; results of arithmetic must fit), `f32`, `vec` (`lanes` neighbouring f32), `bool` and `mask` (a bool a lane).
 *
 * A lane may also hold a pair of bfloat16, made by `packBf16` and consumed by `dotBf16`. Between the two it may only
 * be moved: loaded, broadcast, stored, kept in variables. Arithmetic would take its bits for one float. A pair whose
 * high half is infinite has the bits of a signalling NaN, so moving it as an f32, not a vec, may make that half NaN.
 *
 * The meaning of every operation is `interpret.ts`; `c.ts` and `wasm/` are its translations.
 * A GPU target would add a buffer space `workgroup`, a barrier statement and a thread index here;
 * nothing else depends on there being one thread to a task.
 */

export type Type = 'i32' | 'f32' | 'vec' | 'bool' | 'mask';

/**
 * Where a buffer's floats live. `thread`: scratch of one thread, with undefined contents at task start.
 * `constant`: a table whose values are part of the kernel.
 */
export type BufferSpace = 'global' | 'thread' | 'constant';

export interface Buffer {
  readonly name: string;
  readonly space: BufferSpace;
  readonly access: 'read' | 'write' | 'readwrite';
  /** Number of floats of a `thread` or `constant` buffer; 0 for `global`, whose length the caller knows. */
  readonly length: number;
}

/** A constant buffer with its values. */
export interface Table {
  readonly buffer: Buffer;
  readonly values: Float32Array;
}

/** A mutable variable of a kernel. */
export interface Local {
  readonly id: number;
  readonly type: Type;
  readonly name: string;
}

export type UnaryOp =
  | 'neg'
  | 'abs'
  | 'sqrt'
  | 'floor'
  /** 2^n of an integral n in [-126, 127], exactly. */
  | 'pow2'
  | 'not'
  /** i32 → f32. */
  | 'toF32'
  /** f32 → i32, towards zero; the value must be in range. */
  | 'toI32'
  /** i32 → f32 of the same bits, which must not be those of a NaN: moving one may change it. */
  | 'asF32'
  /** f32 → i32 of the same bits; not of a NaN. */
  | 'asI32'
  /** f32 → vec, the same value in every lane. */
  | 'splat'
  /** vec → f32, summed by halving: lane i += lane i + s for s = lanes/2, lanes/4, …, 1. */
  | 'sumLanes'
  /** vec → f32, the largest lane, by the same halving. */
  | 'maxLanes';

export type BinaryOp =
  | 'add'
  | 'sub'
  | 'mul'
  /** i32: towards zero, divisor not zero, and not −2^31 / −1, which does not fit. */
  | 'div'
  /** i32 only, sign of the dividend; defined where the quotient is. */
  | 'rem'
  /** `b < a ? b : a`, which fixes the result for NaN and signed zeros. */
  | 'min'
  /** `a < b ? b : a`. */
  | 'max'
  /** i32: by 0 … 31 bits; what is shifted out is lost. */
  | 'shl'
  /** i32: by 0 … 31 bits, with the sign. */
  | 'shr'
  | 'lt'
  | 'le'
  | 'eq'
  | 'ne'
  | 'and'
  | 'or'
  /**
   * f32 and vec: a pair of bfloat16, `a` in the low 16 bits, `b` in the high ones, each rounded to nearest even; NaN
   * becomes a quiet NaN. A target's instruction may take subnormal operands for zeros.
   */
  | 'packBf16'
  /** vec: the first half of a₀ b₀ a₁ b₁ …, `lanes` of them. */
  | 'zipLow'
  /** vec: the second half of a₀ b₀ a₁ b₁ …. */
  | 'zipHigh';

export type TernaryOp =
  /** `a * b + c`, rounded once where the target has such an instruction, else twice. */
  | 'fma'
  /** `cond ? a : b`; `cond` is bool, or mask for vec. Both sides are evaluated. */
  | 'select'
  /**
   * vec: `fma(low(a), low(b), fma(high(a), high(b), c))` of pairs a and b. Products of bfloat16 have at most 16 bits,
   * so that either fma rounds once on any target, unless a product overflows or is subnormal. A target's
   * instruction may take subnormal operands and results for zeros.
   */
  | 'dotBf16';

export type ArithmeticOp = UnaryOp | BinaryOp | TernaryOp;

interface NodeBase {
  readonly id: number;
  readonly type: Type;
}

export interface ConstNode extends NodeBase {
  readonly op: 'const';
  readonly value: number;
}

export interface TaskNode extends NodeBase {
  readonly op: 'task';
}

export interface GetNode extends NodeBase {
  readonly op: 'get';
  readonly local: Local;
}

/** Reads `buffer[index + offset]` (f32), the `lanes` floats from there (vec), or one float into all lanes (vec, broadcast). */
export interface LoadNode extends NodeBase {
  readonly op: 'load';
  readonly buffer: Buffer;
  readonly index: Value;
  readonly offset: number;
  readonly broadcast: boolean;
}

export interface ArithmeticNode extends NodeBase {
  readonly op: ArithmeticOp;
  readonly args: readonly Value[];
}

/** A value: a node of the program, defined where it was built. */
export type Value = ConstNode | TaskNode | GetNode | LoadNode | ArithmeticNode;

export type Statement =
  | { readonly kind: 'let'; readonly value: Value }
  | { readonly kind: 'set'; readonly local: Local; readonly value: Value }
  | {
      readonly kind: 'store';
      readonly buffer: Buffer;
      readonly index: Value;
      readonly offset: number;
      readonly value: Value;
      /** A vec that nobody reads soon: past the caches, where the target can. */
      readonly streams: boolean;
    }
  | {
      /** A hint that `buffer[index + offset]` is read soon. No effect on results. */
      readonly kind: 'prefetch';
      readonly buffer: Buffer;
      readonly index: Value;
      readonly offset: number;
      /** Whether the element is within the buffer, so that a target without hints may load it. */
      readonly isWithin: boolean;
    }
  | {
      /** for (local = start; local < end; local += step) */
      readonly kind: 'for';
      readonly local: Local;
      readonly start: Value;
      readonly end: Value;
      readonly step: number;
      readonly body: readonly Statement[];
    }
  | {
      readonly kind: 'if';
      readonly condition: Value;
      readonly then: readonly Statement[];
      readonly otherwise: readonly Statement[];
    }
  | { readonly kind: 'comment'; readonly text: string };

export interface Kernel {
  /** A C identifier; also what traces and profiles show. */
  readonly name: string;
  /** One line for readers of the emitted code: the problem and configuration. */
  readonly description: string;
  readonly lanes: number;
  readonly tasks: number;
  /** Global buffers in the order in which they are passed. */
  readonly buffers: readonly Buffer[];
  /** Thread buffers, laid out one after the other in the thread's scratch memory. */
  readonly scratch: readonly Buffer[];
  readonly tables: readonly Table[];
  readonly body: readonly Statement[];
}

/** Floats of scratch memory that one thread needs, each buffer rounded up to 16 floats (64 bytes). */
export function scratchFloats(kernel: Kernel): number {
  return kernel.scratch.reduce((sum, buffer) => sum + alignedLength(buffer.length), 0);
}

/** Scratch buffers start at multiples of 16 floats. */
export function alignedLength(length: number): number {
  return Math.ceil(length / 16) * 16;
}
