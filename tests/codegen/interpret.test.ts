import { describe, expect, test } from 'vitest';

import { KernelBuilder } from '../../src/codegen/builder.ts';
import { interpret } from '../../src/codegen/interpret.ts';
import type { Buffer, Value } from '../../src/codegen/ir.ts';
import { runAsWasm } from '../support/run-kernel.ts';

function builder(tasks = 1, lanes = 4): KernelBuilder {
  return new KernelBuilder({ name: 'unit', description: 'unit test', lanes, tasks });
}

/**
 * What a kernel stores that computes scalars from `inputs`: by the interpreter, and checked to be the same as
 * WebAssembly. The inputs come from memory, so that nothing is folded.
 */
function compute<const I extends readonly number[]>(
  inputs: I,
  body: (b: KernelBuilder, x: { readonly [K in keyof I]: Value }) => Value[],
): number[] {
  const b = builder();
  const x = b.input('x');
  const out = b.output('out');
  const values = body(b, inputs.map((_, i) => b.loadScalar(x, i)) as { [K in keyof I]: Value });
  values.forEach((value, i) => {
    b.store(out, i, value.type === 'i32' ? b.toF32(value) : value);
  });
  const kernel = b.build();
  const buffers = { x: Float32Array.from(inputs), out: new Float32Array(values.length) };
  const compiled = { x: Float32Array.from(inputs), out: new Float32Array(values.length) };
  interpret(kernel, buffers);
  runAsWasm(kernel, compiled);
  expect(compiled.out).toEqual(buffers.out);
  return [...buffers.out];
}

describe('arithmetic', () => {
  test('rounds every f32 operation to float32', () => {
    const third = Math.fround(1 / 3);
    expect(
      compute([1, 3, 16777216], (b, [one, three, big]) => [
        b.div(one, three),
        b.add(big, one),
        b.mul(b.div(one, three), three),
        b.sqrt(three),
      ]),
    ).toEqual([third, 16777216, Math.fround(third * 3), Math.fround(Math.sqrt(3))]);
  });

  test('divides i32 towards zero and shifts bits out', () => {
    expect(
      compute([7, -7], (b, [p, n]) => {
        const [seven, minus] = [b.toI32(p), b.toI32(n)];
        return [b.div(minus, 2), b.rem(minus, 2), b.shr(minus, 1), b.shl(seven, 30)];
      }),
    ).toEqual([-3, -1, -4, 7 << 30]);
  });

  test('takes the bits of floats for integers, and back', () => {
    const tiny = 2 ** -149;
    expect(
      compute([1, -0, 7 * tiny], (b, [one, zero, small]) => [
        b.shr(b.asI32(one), 23),
        b.shr(b.asI32(zero), 31),
        b.asI32(small),
        b.asF32(b.add(b.asI32(small), 1)),
      ]),
    ).toEqual([127, -1, 7, 8 * tiny]);
  });

  test('defines min and max by comparison, for NaN and signed zeros too', () => {
    const min = (b: number, a: number): number => (b < a ? b : a);
    const max = (b: number, a: number): number => (a < b ? b : a);
    for (const [a, b] of [
      [NaN, 1],
      [1, NaN],
      [0, -0],
      [-0, 0],
      [2, 3],
    ] as const) {
      expect(compute([a, b], (k, [x, y]) => [k.min(x, y), k.max(x, y)])).toEqual([min(b, a), max(b, a)]);
    }
  });

  test('truncates, floors and makes powers of two', () => {
    expect(
      compute([-1.5, -126, 127, 0], (b, [x, low, high, zero]) => [
        b.toI32(x),
        b.floor(x),
        b.pow2(low),
        b.pow2(high),
        b.pow2(zero),
        b.neg(zero),
        b.abs(x),
      ]),
    ).toEqual([-1, -2, 2 ** -126, 2 ** 127, 1, -0, 1.5]);
  });

  test('rounds fma twice by default and once if asked', () => {
    // (1 + 2^-12)^2 - (1 + 2^-11) = 2^-24, which a rounded product loses.
    const x = 1 + 2 ** -12;
    const c = -(1 + 2 ** -11);
    const b = builder();
    const out = b.output('out');
    const input = b.input('x');
    const load = (i: number): Value => b.loadScalar(input, i);
    b.store(out, 0, b.fma(load(0), load(0), load(1)));
    const kernel = b.build();
    const result = new Float32Array(1);
    interpret(kernel, { x: Float32Array.of(x, c), out: result });
    expect(result[0]).toBe(0);
    interpret(kernel, { x: Float32Array.of(x, c), out: result }, { fma: 'fused' });
    expect(result[0]).toBe(2 ** -24);
  });

  test('adds and compares lanes by halving', () => {
    for (const lanes of [4, 8]) {
      const b = builder(1, lanes);
      const x = b.input('x');
      const out = b.output('out');
      b.store(out, 0, b.sumLanes(b.loadVec(x, 0)));
      b.store(out, 1, b.maxLanes(b.loadVec(x, 0)));
      const values = Float32Array.from([1e8, 1, -1e8, 3, 5, 7, 1e-3, 11].slice(0, lanes));
      const result = new Float32Array(2);
      interpret(b.build(), { x: values, out: result });
      let lane = values.slice();
      while (lane.length > 1) {
        const half = lane.length / 2;
        lane = lane.slice(0, half).map((value, i) => value + (lane[i + half] ?? NaN));
      }
      expect([...result]).toEqual([lane[0], Math.max(...values)]);
    }
  });
});

describe('memory', () => {
  function failing(body: (b: KernelBuilder, x: Buffer, out: Buffer) => void): () => void {
    const b = builder(2);
    body(b, b.input('x'), b.output('out'));
    const kernel = b.build();
    return () => {
      interpret(kernel, { x: new Float32Array(8), out: new Float32Array(8) });
    };
  }

  test('names kernel, buffer and task of an access out of bounds', () => {
    expect(
      failing((b, x, out) => {
        b.store(out, 0, b.loadVec(x, b.mul(b.task, 5)));
      }),
    ).toThrow('Kernel unit reads elements 5 to 8 of x, which has 8 floats, in task 1.');
    expect(
      failing((b, _x, out) => {
        b.store(out, b.task, b.f32(1), -1);
      }),
    ).toThrow('Kernel unit writes element -1 of out, which has 8 floats, in task 0.');
    // What targets without hints load must be there; a mere hint may be anything.
    expect(failing((b, x) => b.touch(x, b.mul(b.task, 8)))).toThrow(
      'Kernel unit reads element 8 of x, which has 8 floats, in task 1.',
    );
    expect(failing((b, x) => b.prefetch(x, b.mul(b.task, 8)))).not.toThrow();
  });

  test('fills scratch memory with NaN before each task', () => {
    const b = builder(2);
    const out = b.output('out');
    const scratch = b.scratch('s', 4);
    b.store(out, b.mul(b.task, 4), b.loadVec(scratch, 0));
    b.store(scratch, 0, b.vec(1));
    const result = new Float32Array(8);
    interpret(b.build(), { out: result });
    expect(result.every((value) => Number.isNaN(value))).toBe(true);
  });

  test('runs only the tasks it is asked for', () => {
    const b = builder(8);
    const out = b.output('out');
    b.store(out, b.task, b.f32(1));
    const result = new Float32Array(8);
    interpret(b.build(), { out: result }, { tasks: [2, 5] });
    expect([...result]).toEqual([0, 0, 1, 1, 1, 0, 0, 0]);
  });

  test('refuses tasks that touch what another one has written', () => {
    const writing = builder(2);
    writing.store(writing.output('out'), writing.mul(writing.task, 2), writing.vec(1));
    expect(() => {
      interpret(writing.build(), { out: new Float32Array(8) });
    }).toThrow('Kernel unit writes element 2 of out in task 1, which task 0 has written.');

    const reading = builder(2);
    const x = reading.inout('x');
    reading.store(x, reading.task, reading.add(reading.loadScalar(x, 0), 1));
    expect(() => {
      interpret(reading.build(), { x: new Float32Array(2) });
    }).toThrow('Kernel unit reads element 0 of x in task 1, which task 0 has written.');
  });

  test.each([
    ['task 1 has read', (b: KernelBuilder) => b.task],
    ['several tasks have read', (b: KernelBuilder) => b.i32(1)],
  ])('refuses a task that writes what %s', (whom, read) => {
    const b = builder(3);
    const x = b.inout('x');
    b.store(b.output('out'), b.task, b.loadScalar(x, read(b)));
    b.if(b.eq(b.task, 2), () => b.store(x, 1, b.f32(0)));
    expect(() => {
      interpret(b.build(), { x: new Float32Array(4), out: new Float32Array(4) });
    }).toThrow(`Kernel unit writes element 1 of x in task 2, which ${whom}.`);
  });

  test('asks for every buffer', () => {
    const b = builder();
    b.store(b.output('out'), 0, b.f32(1));
    expect(() => {
      interpret(b.build(), {});
    }).toThrow('Kernel unit needs a buffer out.');
  });
});

describe('control', () => {
  test('evaluates the end of a loop once, and values where they were built', () => {
    const b = builder();
    const x = b.inout('x');
    const end = b.toI32(b.loadScalar(x, 0));
    const before = b.loadScalar(x, 0);
    b.for(0, end, 2, (i) => {
      b.store(x, 0, b.add(b.loadScalar(x, 0), b.toF32(i)));
    });
    b.store(x, 1, before);
    const kernel = b.build();
    for (const run of [interpret, runAsWasm]) {
      const buffer = Float32Array.of(5, 0);
      run(kernel, { x: buffer });
      expect([...buffer]).toEqual([5 + 0 + 2 + 4, 5]);
    }
  });

  test('fails where the language leaves the result open', () => {
    const run = (body: (b: KernelBuilder, zero: Value) => Value) => () =>
      compute([0], (b, [x]) => [body(b, x)]);
    expect(run((b, zero) => b.div(b.i32(1), b.toI32(zero)))).toThrow(/divides the i32 1 by zero/);
    const least = (b: KernelBuilder, zero: Value): Value => b.sub(b.toI32(zero), 2 ** 31 - 1);
    for (const body of [
      (b, zero) => b.sub(least(b, zero), 2),
      (b, zero) => b.add(b.mul(least(b, zero), -1), 1),
      (b, zero) => b.mul(least(b, zero), 2),
      (b, zero) => b.div(b.sub(least(b, zero), 1), -1),
      (b, zero) => b.rem(b.sub(least(b, zero), 1), -1),
    ] satisfies ((b: KernelBuilder, zero: Value) => Value)[]) {
      expect(run(body)).toThrow(/comes to -?\d+, which is no i32/);
    }
    expect(run((b, zero) => b.shl(b.i32(1), b.add(b.toI32(zero), 32)))).toThrow(
      /shl of 32, out of its range/,
    );
    expect(run((b, zero) => b.shr(b.i32(1), b.sub(b.toI32(zero), 1)))).toThrow(/shr of -1, out of its range/);
    expect(run((b, zero) => b.toI32(b.div(zero, zero)))).toThrow(/toI32 of NaN/);
    expect(run((b, zero) => b.asI32(b.div(zero, zero)))).toThrow(/asI32 of NaN/);
    expect(run((b, zero) => b.asF32(b.sub(b.asI32(zero), 1)))).toThrow(/asF32 of -1/);
    expect(run((b, zero) => b.pow2(b.add(zero, 128)))).toThrow(/pow2 of 128/);
  });
});
