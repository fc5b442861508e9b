import type { Buffer, Table } from './ir.ts';
import type { Fail } from './typing.ts';

/** Whether C would take it as a name. */
export function isIdentifier(name: string): boolean {
  return /^[A-Za-z_]\w*$/.test(name);
}

/** The buffers of a kernel under construction, in order of declaration. */
export class Declarations {
  readonly buffers: Buffer[] = [];
  readonly scratch: Buffer[] = [];
  readonly tables: Table[] = [];
  readonly #fail: Fail;

  constructor(fail: Fail) {
    this.#fail = fail;
  }

  /** Adds a global or thread buffer; its name must be new and a C identifier. */
  add(buffer: Buffer): Buffer {
    this.#checkName(buffer);
    (buffer.space === 'thread' ? this.scratch : this.buffers).push(buffer);
    return buffer;
  }

  addTable(table: Table): Buffer {
    this.#checkName(table.buffer);
    this.tables.push(table);
    return table.buffer;
  }

  /** Fails unless the buffer was declared here and the offset is an integer. */
  checkAccess(op: string, buffer: Buffer, offset: number): void {
    if (!this.#some((other) => other === buffer)) this.#fail(op, `${buffer.name} belongs to another kernel`);
    if (!Number.isInteger(offset)) this.#fail(op, `the offset must be an integer, got ${offset}`);
  }

  #checkName({ name }: Buffer): void {
    if (!isIdentifier(name)) this.#fail('buffer', `${name} is not a C identifier`);
    if (this.#some((other) => other.name === name)) this.#fail('buffer', `${name} is declared twice`);
  }

  #some(matches: (buffer: Buffer) => boolean): boolean {
    return [...this.buffers, ...this.scratch, ...this.tables.map((table) => table.buffer)].some(matches);
  }
}
