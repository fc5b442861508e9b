import { ByteWriter } from './bytes.ts';
import { FunctionWriter } from './function.ts';
import type { FunctionRef, Signature } from './function.ts';
import { VAL_TYPE_CODES } from './opcodes.ts';

/** The memory that a module imports as `env.memory`, in pages of 64 KiB. */
export interface MemoryImport {
  readonly pages: number;
  readonly maxPages: number;
  readonly shared: boolean;
}

interface Definition {
  readonly name: string;
  readonly type: number;
  readonly exported: boolean;
  /** The finished body, encoded; undefined until `define` has run. */
  readonly body: ByteWriter;
}

/** Assembles a module of functions over one imported memory, with one table for indirect calls. */
export class ModuleWriter {
  readonly #memory: MemoryImport;
  readonly #types: Signature[] = [];
  readonly #typeIndices = new Map<string, number>();
  readonly #functions: Definition[] = [];
  readonly #data: { readonly address: number; readonly values: Float32Array }[] = [];
  #table: readonly FunctionRef[] = [];

  constructor(memory: MemoryImport) {
    this.#memory = memory;
  }

  /** The index of a function type, for indirect calls. */
  type(signature: Signature): number {
    const key = `${signature.params.join(' ')} -> ${signature.result ?? ''}`;
    const known = this.#typeIndices.get(key);
    if (known !== undefined) return known;
    this.#types.push(signature);
    this.#typeIndices.set(key, this.#types.length - 1);
    return this.#types.length - 1;
  }

  /** Defines a function. Its name shows in profiles and stack traces. */
  function(
    name: string,
    signature: Signature,
    write: (writer: FunctionWriter) => void,
    options: { readonly exported?: boolean } = {},
  ): FunctionRef {
    const writer = new FunctionWriter(signature);
    write(writer);
    const body = new ByteWriter();
    writer.writeTo(body);
    const type = this.type(signature);
    this.#functions.push({ name, type, exported: options.exported ?? false, body });
    return { index: this.#functions.length - 1, signature };
  }

  /** Sets the functions that indirect calls reach, by position. */
  table(functions: readonly FunctionRef[]): void {
    this.#table = functions;
  }

  /** Floats to be written to memory when the module is instantiated. */
  data(address: number, values: Float32Array): void {
    this.#data.push({ address, values });
  }

  bytes(): Uint8Array<ArrayBuffer> {
    const out = new ByteWriter();
    out.raw([0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]);
    section(out, 1, this.#types, (type) => {
      out.u8(0x60);
      out.u32(type.params.length);
      out.raw(type.params.map((param) => VAL_TYPE_CODES[param]));
      out.raw(type.result === undefined ? [0] : [1, VAL_TYPE_CODES[type.result]]);
    });
    section(out, 2, [this.#memory], (memory) => {
      out.name('env');
      out.name('memory');
      out.raw([0x02, memory.shared ? 0x03 : 0x01]);
      out.u32(memory.pages);
      out.u32(memory.maxPages);
    });
    section(out, 3, this.#functions, (definition) => {
      out.u32(definition.type);
    });
    section(out, 4, [this.#table.length], (length) => {
      out.raw([0x70, 0x00]);
      out.u32(length);
    });
    const exported = this.#functions.map((definition, index) => ({ ...definition, index }));
    section(
      out,
      7,
      exported.filter((definition) => definition.exported),
      ({ name, index }) => {
        out.name(name);
        out.u8(0x00);
        out.u32(index);
      },
    );
    section(out, 9, [this.#table], (functions) => {
      out.raw([0x00, 0x41, 0x00, 0x0b]); // table 0, from index i32.const 0 on
      out.u32(functions.length);
      for (const { index } of functions) out.u32(index);
    });
    section(out, 10, this.#functions, (definition) => {
      out.raw(definition.body.bytes());
    });
    section(out, 11, this.#data, ({ address, values }) => {
      out.raw([0x00, 0x41]); // memory 0, from i32.const address on
      out.s32(address);
      out.u8(0x0b);
      out.u32(4 * values.length);
      for (const value of values) out.f32(value);
    });
    this.#writeNames(out);
    return out.bytes().slice();
  }

  /** The custom section that debuggers read: function names. */
  #writeNames(out: ByteWriter): void {
    out.u8(0);
    out.sized(() => {
      out.name('name');
      out.u8(1);
      out.sized(() => {
        out.u32(this.#functions.length);
        this.#functions.forEach(({ name }, index) => {
          out.u32(index);
          out.name(name);
        });
      });
    });
  }
}

/** A section: its number, its size, and a vector of entries. */
function section<T>(out: ByteWriter, id: number, entries: readonly T[], write: (entry: T) => void): void {
  out.u8(id);
  out.sized(() => {
    out.u32(entries.length);
    for (const entry of entries) write(entry);
  });
}
