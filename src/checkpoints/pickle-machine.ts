import { PickleReader } from './pickle-reader.ts';
import { PickleDict, PickleGlobal, PickleList, PickleOpaque } from './pickle-value.ts';
import type { PickleValue } from './pickle-value.ts';

/** What a pickle may refer to. Every method throws `invalid-argument` for what it does not know. */
export interface PickleWorld {
  /** For error messages. */
  readonly name: string;
  /** Admits a class or function by its full name. Asked when the pickle names it, whether or not it calls it. */
  admit(callable: string): PickleGlobal;
  /** The inert value that stands for a call. Nothing is called. */
  call(callable: PickleGlobal, args: readonly PickleValue[]): PickleValue;
  /** The value of a persistent id. */
  persistent(id: PickleValue): PickleValue;
}

const MAX_STACK = 2 ** 20;
/** Collections that are being built at a time: how deeply they nest. */
const MAX_MARKS = 2 ** 12;

/** The stack, marks and memo that the opcodes of a pickle work on, with what several of them do. */
export class PickleMachine {
  readonly reader: PickleReader;
  readonly world: PickleWorld;
  readonly #memo = new Map<number, PickleValue>();
  readonly #marks: number[] = [];
  readonly #stack: PickleValue[] = [];

  constructor(bytes: Uint8Array, start: number, world: PickleWorld) {
    this.reader = new PickleReader(bytes, start, world.name);
    this.world = world;
  }

  push(value: PickleValue): void {
    if (this.#stack.length >= MAX_STACK) throw this.reader.damaged('puts too much on its stack');
    this.#stack.push(value);
  }

  pop(): PickleValue {
    const value = this.top();
    this.#stack.pop();
    return value;
  }

  top(): PickleValue {
    const value = this.#stack.length > (this.#marks.at(-1) ?? 0) ? this.#stack.at(-1) : undefined;
    if (value === undefined) throw this.reader.damaged('takes from an empty stack');
    return value;
  }

  mark(): void {
    if (this.#marks.length >= MAX_MARKS) throw this.reader.damaged('nests too deeply');
    this.#marks.push(this.#stack.length);
  }

  /** Takes everything above the last mark, and the mark. */
  popMark(): PickleValue[] {
    const mark = this.#marks.pop();
    if (mark === undefined) throw this.reader.damaged('ends a collection that it did not begin');
    return this.#stack.splice(mark);
  }

  /** Takes a mark if that was set last, else a value. */
  discard(): void {
    if (this.#marks.at(-1) === this.#stack.length) this.#marks.pop();
    else this.pop();
  }

  popTuple(): readonly PickleValue[] {
    const value = this.pop();
    if (value instanceof PickleList) return value.items;
    throw this.reader.damaged('passes arguments that are not a tuple');
  }

  remember(index: number | bigint): void {
    this.#memo.set(Number(index), this.top());
  }

  /** Remembers under the next number. */
  memoize(): void {
    this.remember(this.#memo.size);
  }

  recall(index: number | bigint): void {
    const value = this.#memo.get(Number(index));
    if (value === undefined) throw this.reader.damaged('refers to a value that it did not store');
    this.push(value);
  }

  /** Appends to the list on top. */
  append(values: readonly PickleValue[]): void {
    const target = this.top();
    if (target instanceof PickleList) for (const value of values) target.items.push(value);
    else if (!(target instanceof PickleOpaque))
      throw this.reader.damaged('appends to something that is no list');
  }

  /** Sets items of the dict on top: key, value, key, value … */
  setItems(items: readonly PickleValue[]): void {
    const target = this.top();
    if (items.length % 2 !== 0) throw this.reader.damaged('has a key without a value');
    if (target instanceof PickleOpaque) return;
    if (!(target instanceof PickleDict)) throw this.reader.damaged('sets items of something that is no dict');
    for (let i = 0; i < items.length; i += 2) target.entries.set(items[i] ?? null, items[i + 1] ?? null);
  }

  call(callable: PickleValue | undefined, args: readonly PickleValue[]): void {
    if (!(callable instanceof PickleGlobal)) throw this.reader.damaged('calls something that is not a name');
    this.push(this.world.call(callable, args));
  }
}
