import { guardBytes, tableBytes } from '../../src/codegen/wasm/addressing.ts';
import { emitWasm } from '../../src/codegen/wasm/emit.ts';
import type { EmitWasmOptions } from '../../src/codegen/wasm/emit.ts';
import { scratchFloats } from '../../src/codegen/ir.ts';
import type { Kernel } from '../../src/codegen/ir.ts';

/** Runs all tasks of a kernel as WebAssembly on the calling thread; `buffers` are changed in place. */
export function runAsWasm(
  kernel: Kernel,
  buffers: Readonly<Record<string, Float32Array>>,
  options: EmitWasmOptions = { relaxed: false },
): void {
  let next = align(guardBytes(kernel));
  const place = (floats: number): number => {
    const address = next;
    next = align(next + 4 * floats);
    return address;
  };
  const tables = place(tableBytes(kernel) / 4);
  const scratch = { address: place(scratchFloats(kernel)), stride: 0 };
  const bound = kernel.buffers.map(({ name }) => {
    const floats = buffers[name];
    if (floats === undefined) throw new Error(`no buffer ${name}`);
    return { floats, address: place(floats.length) };
  });
  const pages = Math.ceil(next / 65536);
  const bytes = emitWasm(
    {
      kernels: [kernel],
      steps: [{ kernel: 0, addresses: bound.map(({ address }) => address) }],
      memory: { pages, maxPages: pages, shared: false },
      threads: 1,
      tables: [tables],
      scratch,
      control: 0,
    },
    options,
  );
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory } });
  const run = instance.exports.run as (first: number, end: number, thread: number) => number;
  for (const { floats, address } of bound)
    new Float32Array(memory.buffer, address, floats.length).set(floats);
  run(0, 1, 0);
  for (const { floats, address } of bound)
    floats.set(new Float32Array(memory.buffer, address, floats.length));
}

function align(bytes: number): number {
  return Math.ceil(bytes / 64) * 64;
}
