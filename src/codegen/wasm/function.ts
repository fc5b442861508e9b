import { ByteWriter } from './bytes.ts';
import { MEMORY, PLAIN, VAL_TYPE_CODES } from './opcodes.ts';
import type { MemoryOp, Opcode, PlainOp, ValType } from './opcodes.ts';

export interface Signature {
  readonly params: readonly ValType[];
  readonly result?: ValType;
}

/** A function's index in its module, with the type that calls are checked against. */
export interface FunctionRef {
  readonly index: number;
  readonly signature: Signature;
}

/** A target of branches: its distance from the innermost block is worked out when the branch is written. */
export interface Label {
  readonly depth: number;
}

/**
 * Writes the body of one function. Each instruction pops and pushes typed operands, so that a mistake of the
 * emitter is reported where it was made. Blocks take and leave no operands.
 */
export class FunctionWriter {
  readonly signature: Signature;
  readonly #code = new ByteWriter();
  readonly #locals: ValType[] = [];
  readonly #stack: ValType[] = [];
  /** Height of the stack at the start of each open block. */
  readonly #blocks: number[] = [];

  constructor(signature: Signature) {
    this.signature = signature;
  }

  /** Declares a local and gives its index; it starts as zero. */
  local(type: ValType): number {
    this.#locals.push(type);
    return this.signature.params.length + this.#locals.length - 1;
  }

  i32(value: number): void {
    this.#code.u8(0x41);
    this.#code.s32(value);
    this.#stack.push('i32');
  }

  /** A small i64: only timeouts need one. */
  i64(value: number): void {
    this.#code.u8(0x42);
    this.#code.s32(value);
    this.#stack.push('i64');
  }

  f32(value: number): void {
    this.#code.u8(0x43);
    this.#code.f32(value);
    this.#stack.push('f32');
  }

  /** A v128 with the same f32 in its four lanes. */
  f32x4(value: number): void {
    this.#code.raw([0xfd, 0x0c]);
    for (let lane = 0; lane < 4; lane++) this.#code.f32(value);
    this.#stack.push('v128');
  }

  op(name: PlainOp): void {
    this.#apply(name, PLAIN[name]);
  }

  /** A memory instruction at the address on the stack plus `offset` bytes. */
  memory(name: MemoryOp, offset: number): void {
    const opcode = MEMORY[name];
    this.#apply(name, opcode);
    this.#code.u32(opcode.align);
    this.#code.u32(offset);
  }

  extractLane0(): void {
    this.#pop('v128', 'f32x4.extract_lane');
    this.#code.raw([0xfd, 0x1f, 0]);
    this.#stack.push('f32');
  }

  /** Moves f32 lanes of the one operand: lane i takes lane `lanes[i]`. */
  permute(lanes: readonly [number, number, number, number], source: number): void {
    this.get(source);
    this.get(source);
    this.shuffle(lanes);
  }

  /** [a, b] → a vector whose lane i is lane `lanes[i]` of the eight f32 lanes of a and b. */
  shuffle(lanes: readonly [number, number, number, number]): void {
    this.#pop('v128', 'i8x16.shuffle');
    this.#pop('v128', 'i8x16.shuffle');
    this.#code.raw([0xfd, 0x0d]);
    for (const lane of lanes) this.#code.raw([4 * lane, 4 * lane + 1, 4 * lane + 2, 4 * lane + 3]);
    this.#stack.push('v128');
  }

  get(local: number): void {
    this.#code.u8(0x20);
    this.#code.u32(local);
    this.#stack.push(this.#typeOf(local));
  }

  set(local: number): void {
    this.#pop(this.#typeOf(local), 'local.set');
    this.#code.u8(0x21);
    this.#code.u32(local);
  }

  tee(local: number): void {
    this.set(local);
    this.get(local);
  }

  /** [a, b, condition] → condition ≠ 0 ? a : b. */
  select(): void {
    this.#pop('i32', 'select');
    const b = this.#stack.pop();
    if (b === undefined) throw new Error('select: the operand stack is empty');
    this.#pop(b, 'select');
    this.#code.u8(0x1b);
    this.#stack.push(b);
  }

  drop(): void {
    if (this.#stack.pop() === undefined) throw new Error('drop: the operand stack is empty');
    this.#code.u8(0x1a);
  }

  call(target: FunctionRef): void {
    this.#popAll(target.signature.params, 'call');
    this.#code.u8(0x10);
    this.#code.u32(target.index);
    if (target.signature.result !== undefined) this.#stack.push(target.signature.result);
  }

  /** Calls the function at the table index on the stack. */
  callIndirect(typeIndex: number, signature: Signature): void {
    this.#pop('i32', 'call_indirect');
    this.#popAll(signature.params, 'call_indirect');
    this.#code.u8(0x11);
    this.#code.u32(typeIndex);
    this.#code.u32(0);
    if (signature.result !== undefined) this.#stack.push(signature.result);
  }

  /** Branches to the label's block leave it. */
  block(body: (label: Label) => void): void {
    this.#nest(0x02, body);
  }

  /** Branches to the label's loop start it again. */
  loop(body: (label: Label) => void): void {
    this.#nest(0x03, body);
  }

  /** Runs `then` if the i32 on the stack is not 0, else `otherwise`. */
  if(then: () => void, otherwise?: () => void): void {
    this.#pop('i32', 'if');
    this.#nest(0x04, () => {
      then();
      if (otherwise === undefined) return;
      this.#checkLevel();
      this.#code.u8(0x05);
      otherwise();
    });
  }

  branch(label: Label): void {
    this.#checkLevel();
    this.#code.u8(0x0c);
    this.#code.u32(this.#blocks.length - label.depth);
  }

  branchIf(label: Label): void {
    this.#pop('i32', 'br_if');
    this.#checkLevel();
    this.#code.u8(0x0d);
    this.#code.u32(this.#blocks.length - label.depth);
  }

  /** Leaves the function; what is on the stack is its result. */
  return(): void {
    if (this.signature.result !== undefined) this.#pop(this.signature.result, 'return');
    this.#checkLevel();
    this.#code.u8(0x0f);
  }

  /** Appends the finished body, with its declarations of locals, to a code section. */
  writeTo(out: ByteWriter): void {
    if (this.signature.result !== undefined) this.#pop(this.signature.result, 'end');
    if (this.#stack.length !== 0 || this.#blocks.length !== 0) throw new Error('end: operands are left over');
    const groups = runs(this.#locals);
    out.sized(() => {
      out.u32(groups.length);
      for (const [type, count] of groups) {
        out.u32(count);
        out.u8(VAL_TYPE_CODES[type]);
      }
      out.raw(this.#code.bytes());
      out.u8(0x0b);
    });
  }

  #apply(name: string, opcode: Opcode): void {
    this.#popAll(opcode.params, name);
    this.#code.raw(opcode.code);
    if (opcode.result !== undefined) this.#stack.push(opcode.result);
  }

  #popAll(types: readonly ValType[], name: string): void {
    for (let i = types.length - 1; i >= 0; i--) this.#pop(types[i], name);
  }

  #pop(type: ValType | undefined, name: string): void {
    const got = this.#stack.length > (this.#blocks.at(-1) ?? 0) ? this.#stack.pop() : undefined;
    if (got !== type)
      throw new Error(`${name}: expected ${type ?? 'nothing'} on the stack, got ${got ?? 'nothing'}`);
  }

  #typeOf(local: number): ValType {
    const { params } = this.signature;
    const type = local < params.length ? params[local] : this.#locals[local - params.length];
    if (type === undefined) throw new Error(`there is no local ${local}`);
    return type;
  }

  #checkLevel(): void {
    if (this.#stack.length !== (this.#blocks.at(-1) ?? 0))
      throw new Error('operands are left over in a block');
  }

  #nest(opcode: number, body: (label: Label) => void): void {
    this.#code.raw([opcode, 0x40]);
    this.#blocks.push(this.#stack.length);
    body({ depth: this.#blocks.length });
    this.#checkLevel();
    this.#blocks.pop();
    this.#code.u8(0x0b);
  }
}

/** Neighbours of one type as [type, count]. */
function runs(types: readonly ValType[]): [ValType, number][] {
  const groups: [ValType, number][] = [];
  for (const type of types) {
    const last = groups.at(-1);
    if (last?.[0] === type) last[1]++;
    else groups.push([type, 1]);
  }
  return groups;
}
