import { describe, expect, test } from 'vitest';

import { KernelBuilder } from '../../src/codegen/builder.ts';
import type { Value } from '../../src/codegen/ir.ts';

function builder(options: Partial<ConstructorParameters<typeof KernelBuilder>[0]> = {}): KernelBuilder {
  return new KernelBuilder({ name: 'faulty', description: 'unit test', lanes: 4, tasks: 2, ...options });
}

/** Mistakes, and what the message must say beside the kernel's name and the number of the statement. */
const mistakes: readonly [string, (b: KernelBuilder) => unknown][] = [
  ['(add): expected equal types among i32, f32, vec, got i32 and f32', (b) => b.add(b.task, b.f32(1))],
  ['(neg): expected f32 or vec, got i32', (b) => b.neg(b.task)],
  ['(rem): expected equal types among i32, got f32 and f32', (b) => b.rem(b.f32(1), b.f32(2))],
  ['(and): expected equal types among i32, bool, mask', (b) => b.and(b.vec(1), b.vec(2))],
  ['(select): the condition must be bool, got i32', (b) => b.select(b.task, b.f32(1), b.f32(2))],
  ['(fma): expected equal types among f32, vec', (b) => b.fma(b.vec(1), b.f32(1), b.vec(1))],
  ['(sumLanes): expected vec, got f32', (b) => b.sumLanes(b.f32(1))],
  ['(i32): 4294967296 is not a 32-bit integer', (b) => b.mul(b.i32(2 ** 30), 4)],
  ['(i32): 2147483648 is not a 32-bit integer', (b) => b.div(b.i32(-(2 ** 31)), -1)],
  ['(shl): bits must be from 0 to 31, got 32', (b) => b.shl(b.task, 32)],
  ['(shr): bits must be from 0 to 31, got -1', (b) => b.shr(b.task, b.i32(-1))],
  ['(variable): a b is not a C identifier', (b) => b.variable(b.task, 'a b')],
  ['(i32): 1.5 is not a 32-bit integer', (b) => b.add(b.task, 1.5)],
  ['(load): the index must be i32, got f32', (b) => b.loadVec(b.input('x'), b.f32(0))],
  ['(load): y is an output', (b) => b.loadVec(b.output('y'), 0)],
  ['(load): the offset must be an integer, got 0.5', (b) => b.loadVec(b.input('x'), 0, 0.5)],
  ['(load): other belongs to another kernel', (b) => b.loadVec(builder().input('other'), 0)],
  [
    '(store): x is an input',
    (b) => {
      b.store(b.input('x'), 0, b.f32(1));
    },
  ],
  [
    '(store): the value must be f32 or vec, got i32',
    (b) => {
      b.store(b.output('y'), 0, b.task);
    },
  ],
  [
    '(store): the index must be i32, got f32',
    (b) => {
      b.store(b.output('y'), b.f32(0), b.f32(1));
    },
  ],
  [
    '(set): sum is f32, the value is vec',
    (b) => {
      b.variable(b.f32(0), 'sum').set(b.vec(0));
    },
  ],
  [
    '(for): the step must be positive, got 0',
    (b) => {
      b.for(0, 4, 0, () => undefined);
    },
  ],
  [
    '(if): the condition must be bool, got mask',
    (b) => {
      b.if(b.lt(b.vec(1), b.vec(2)), () => undefined);
    },
  ],
  ['(buffer): x is declared twice', (b) => [b.input('x'), b.scratch('x', 4)]],
  ['(buffer): 2x is not a C identifier', (b) => b.input('2x')],
  ['(scratch): s must have a positive length, got 0', (b) => b.scratch('s', 0)],
  ['(table): t must have values', (b) => b.table('t', new Float32Array(0))],
];

describe('mistakes are reported where they are made', () => {
  test.each(mistakes)('%s', (message, make) => {
    const b = builder();
    // One statement before it, so that the number tells something.
    b.variable(b.i32(7));
    expect(() => make(b)).toThrow(
      expect.objectContaining({
        code: 'invalid-argument',
        message: expect.stringMatching(/^Kernel faulty, statement [1-9]\d* \(/) as string,
      }),
    );
    const again = builder();
    again.variable(again.i32(7));
    expect(() => make(again)).toThrow(message);
  });

  test('in a nested block the statement is counted from the start', () => {
    const b = builder();
    const y = b.output('y');
    b.store(y, 0, b.f32(1)); // statement 0
    expect(() => {
      b.for(0, 4, 1, (i) => {
        // statement 1 is the loop variable's value
        b.store(y, i, b.f32(2)); // statement 2
        b.neg(i);
      });
    }).toThrow('Kernel faulty, statement 3 (neg): expected f32 or vec, got i32.');
  });

  test('the kernel itself must make sense', () => {
    expect(() => builder({ name: 'not-c' })).toThrow('the name must be a C identifier');
    expect(() => builder({ lanes: 6 })).toThrow('lanes must be a power of two');
    expect(() => builder({ tasks: 0 })).toThrow('tasks must be a positive integer, got 0');
  });
});

describe('what is built', () => {
  test('equal pure values are shared within their block and the blocks in it', () => {
    const b = builder();
    const a = b.mul(b.task, 3);
    expect(b.mul(b.task, 3)).toBe(a);
    let inner: Value | undefined;
    b.for(0, b.task, 1, (i) => {
      expect(b.mul(b.task, 3)).toBe(a);
      inner = b.mul(i, 5);
    });
    b.for(0, b.task, 1, (i) => {
      expect(b.mul(i, 5)).not.toBe(inner);
    });
  });

  test('integer constants are folded', () => {
    const b = builder();
    expect(b.add(b.mul(b.i32(6), 7), 0)).toMatchObject({ op: 'const', value: 42 });
    expect(b.mul(b.i32(0), -5)).toMatchObject({ op: 'const', value: 0 });
    expect(b.div(b.i32(-7), 2)).toMatchObject({ op: 'const', value: -3 });
    expect(b.mul(b.task, 1)).toBe(b.task);
    expect(b.lt(b.i32(1), 2)).toMatchObject({ op: 'const', type: 'bool', value: 1 });
  });

  test('loops of one round and conditions that are known need no statement', () => {
    const b = builder();
    const y = b.output('y');
    b.for(3, 4, 1, (i) => {
      expect(i).toMatchObject({ op: 'const', value: 3 });
      b.store(y, i, b.f32(1));
    });
    b.for(4, 4, 1, () => {
      throw new Error('a loop without rounds');
    });
    b.if(
      b.lt(b.i32(2), 1),
      () => {
        throw new Error('a condition that never holds');
      },
      () => {
        b.store(y, 0, b.f32(2));
      },
    );
    expect(b.build().body.map((statement) => statement.kind)).toEqual(['store', 'store']);
  });
});
