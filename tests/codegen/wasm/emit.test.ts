import { describe, expect, test } from 'vitest';

import { KernelBuilder } from '../../../src/codegen/builder.ts';
import { interpret } from '../../../src/codegen/interpret.ts';
import type { Kernel } from '../../../src/codegen/ir.ts';
import { guardBytes } from '../../../src/codegen/wasm/addressing.ts';
import { FunctionWriter } from '../../../src/codegen/wasm/function.ts';
import { emitWasm } from '../../../src/codegen/wasm/emit.ts';
import { wasmFeatures } from '../../../src/devices/wasm/features.ts';
import { runAsWasm } from '../../support/run-kernel.ts';

function builder(lanes = 4): KernelBuilder {
  return new KernelBuilder({ name: 'unit', description: 'unit test', lanes, tasks: 1 });
}

function emit(kernel: Kernel, relaxed = false): Uint8Array<ArrayBuffer> {
  return emitWasm(
    {
      kernels: [kernel],
      steps: [],
      memory: { pages: 1, maxPages: 1, shared: false },
      threads: 1,
      tables: [0],
      scratch: { address: 0, stride: 0 },
      control: 0,
    },
    { relaxed },
  );
}

describe('emitWasm', () => {
  test('refuses vectors that are not 128 bits wide', () => {
    const b = builder(8);
    b.store(b.output('y'), 0, b.vec(1));
    const kernel = b.build();
    expect(() => emit(kernel)).toThrow(
      expect.objectContaining({
        code: 'unsupported',
        message: 'WebAssembly vectors have 4 lanes: build kernel unit with lanes = 4, not 8.',
      }),
    );
  });

  test('addresses may be negative before their offset is added', () => {
    const b = builder();
    const x = b.input('x');
    const y = b.output('y');
    const back = b.sub(b.toI32(b.loadScalar(x, 0)), 5000);
    b.store(y, back, b.loadVec(x, back, 5000), 5000);
    const kernel = b.build();
    expect(guardBytes(kernel)).toBe(20000);
    const buffers = { x: Float32Array.of(0, 1, 2, 3), y: new Float32Array(4) };
    runAsWasm(kernel, buffers);
    expect(buffers.y).toEqual(buffers.x);
  });

  test('a value whose only live use is in a nested block is computed where it was built, dead users or not', () => {
    const b = builder();
    const [x, y] = [b.inout('x'), b.output('y')];
    const before = b.loadScalar(x, 0);
    b.mul(before, 2); // nobody uses the product
    b.store(x, 0, b.f32(5));
    b.for(0, 3, 1, (i) => {
      b.store(y, i, before);
    });
    const buffers = { x: Float32Array.of(1), y: new Float32Array(3) };
    runAsWasm(b.build(), buffers);
    expect([...buffers.y]).toEqual([1, 1, 1]);
  });

  test('offsets beyond what instructions take are added', () => {
    const far = 5_000_000;
    const b = builder();
    const x = b.inout('x');
    const at = b.toI32(b.loadScalar(x, 0));
    b.store(x, at, b.loadScalar(x, at, far), far + 1);
    b.store(x, 1, b.loadScalar(x, far));
    const kernel = b.build();
    expect(guardBytes(kernel)).toBe(0);
    const buffers = { x: new Float32Array(far + 2) };
    buffers.x[far] = 42;
    runAsWasm(kernel, buffers);
    expect([buffers.x[1], buffers.x[far + 1]]).toEqual([42, 42]);
  });

  test('locals are reused, so that long kernels stay within the limits of engines', () => {
    const b = builder();
    const x = b.input('x');
    const y = b.output('y');
    // More values than a function may have locals (50 000), every one of them named because it is used twice.
    for (let i = 0; i < 60_000; i++) {
      const value = b.loadScalar(x, b.task, i % 7);
      b.store(y, 0, b.mul(value, b.add(value, i)), i % 16);
    }
    const kernel = b.build();
    const buffers = { x: Float32Array.of(1, 2, 3, 4, 5, 6, 7), y: new Float32Array(16) };
    const expected = { x: buffers.x, y: new Float32Array(16) };
    runAsWasm(kernel, buffers);
    interpret(kernel, expected);
    expect(buffers.y).toEqual(expected.y);
  });

  test('fma is one instruction with relaxed SIMD', () => {
    const b = builder();
    const x = b.input('x');
    const y = b.output('y');
    const [p, q, r] = [0, 4, 8].map((i) => b.loadVec(x, i)) as [ReturnType<typeof b.vec>, never, never];
    b.store(y, 0, b.fma(p, q, r));
    b.store(y, 4, b.fma(b.neg(p), q, r));
    const kernel = b.build();
    const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
    const madd = '\xfd\x85\x02';
    const nmadd = '\xfd\x86\x02';
    const relaxed = text(emit(kernel, true));
    expect([relaxed.includes(madd), relaxed.includes(nmadd)]).toEqual([true, true]);
    expect(text(emit(kernel)).includes(madd)).toBe(false);
    expect(WebAssembly.validate(emit(kernel))).toBe(true);
    expect(WebAssembly.validate(emit(kernel, true))).toBe(wasmFeatures().relaxed);
  });

  test('a module shows the names of kernels in stack traces', () => {
    const b = builder();
    const x = b.inout('x');
    b.store(x, b.toI32(b.loadScalar(x, 0)), b.f32(1));
    const kernel = b.build();
    let error: unknown;
    try {
      runAsWasm(kernel, { x: Float32Array.of(2 ** 29) });
    } catch (caught) {
      error = caught;
    }
    expect((error as Error).stack).toMatch(/out of bounds[^]*unit/);
  });
});

describe('FunctionWriter', () => {
  test('refuses operands of the wrong type or number', () => {
    const writer = new FunctionWriter({ params: ['f32'], result: 'i32' });
    writer.get(0);
    expect(() => {
      writer.op('i32.eqz');
    }).toThrow('i32.eqz: expected i32 on the stack, got f32');
    expect(() => {
      writer.op('f32.add');
    }).toThrow(/f32.add: expected f32 on the stack, got nothing/);
    expect(() => {
      writer.block(() => {
        writer.i32(1);
      });
    }).toThrow('operands are left over in a block');
    expect(() => {
      writer.get(7);
    }).toThrow('there is no local 7');
  });
});
