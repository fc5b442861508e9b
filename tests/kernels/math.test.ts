import { describe, expect, it } from 'vitest';
import { KernelBuilder } from '../../src/codegen/builder.ts';
import { interpret } from '../../src/codegen/interpret.ts';
import type { Value } from '../../src/codegen/ir.ts';
import * as meaning from '../../src/graph/activations.ts';
import {
  activate,
  activationDerivative,
  exp,
  gelu,
  keepsZero,
  relu6,
  sigmoid,
  silu,
  tanh,
} from '../../src/kernels/math.ts';
import type { Activation } from '../../src/kernels/problem.ts';

type Emit = (b: KernelBuilder, x: Value) => Value;

function evaluate(emit: Emit, inputs: Float32Array, fma: 'separate' | 'fused'): Float32Array {
  const lanes = 64;
  const tasks = Math.ceil(inputs.length / lanes);
  const b = new KernelBuilder({ name: 'math', description: 'test', lanes, tasks });
  const x = b.input('x');
  const y = b.output('y');
  const index = b.mul(b.task, lanes);
  b.store(y, index, emit(b, b.loadVec(x, index)));
  const padded = new Float32Array(tasks * lanes);
  padded.set(inputs);
  const result = new Float32Array(tasks * lanes).fill(NaN);
  interpret(b.build(), { x: padded, y: result }, { fma });
  return result.subarray(0, inputs.length);
}

/** Evenly spaced inputs and, for the behaviour around zero, powers of two of both signs. */
function sweep(from: number, to: number, count = 6000): Float32Array {
  const even = Array.from({ length: count }, (_, i) => from + ((to - from) * i) / (count - 1));
  const tiny = Array.from({ length: 40 }, (_, i) => 2 ** (-i / 2));
  return Float32Array.from([...even, ...tiny, ...tiny.map((v) => -v)].filter((v) => v >= from && v <= to));
}

interface Case {
  readonly name: string;
  readonly emit: Emit;
  readonly exact: (x: number) => number;
  readonly range: readonly [number, number];
  /** The allowed error at x, as stated in the function's docstring. */
  readonly bound: (x: number, exact: number) => number;
}

const cases: Case[] = [
  { name: 'exp', emit: exp, exact: Math.exp, range: [-87, 88], bound: (_, y) => 1.6e-7 * y },
  { name: 'sigmoid', emit: sigmoid, exact: meaning.sigmoid, range: [-30, 30], bound: () => 1.2e-7 },
  {
    name: 'sigmoid, relative',
    emit: sigmoid,
    exact: meaning.sigmoid,
    range: [-87, 0],
    bound: (_, y) => 4e-6 * y,
  },
  {
    name: 'silu',
    emit: silu,
    exact: meaning.silu,
    range: [-40, 40],
    bound: (x) => 2e-7 * Math.max(1, Math.abs(x)),
  },
  { name: 'tanh', emit: tanh, exact: Math.tanh, range: [-12, 12], bound: (_, y) => 4e-7 * Math.abs(y) },
  {
    name: 'gelu',
    emit: gelu,
    exact: meaning.gelu,
    range: [-10, 10],
    bound: (x) => 4e-7 * Math.max(1, Math.abs(x)),
  },
  { name: 'relu6', emit: relu6, exact: meaning.relu6, range: [-10, 10], bound: () => 0 },
];

/** The errors that `activationDerivative` states. */
const SLOPES = {
  gelu: () => 3e-7,
  silu: (x: number) => 1.2e-7 * Math.max(1, Math.abs(x)),
  sigmoid: () => 1.2e-7,
  tanh: () => 6e-7,
} as const;
for (const [activation, bound] of Object.entries(SLOPES) as [Activation, (x: number) => number][]) {
  cases.push({
    name: `derivative of ${activation}`,
    emit: (b, x) => activationDerivative(b, activation, x),
    exact: (x) => meaning.activationDerivative(activation, x),
    range: [-15, 15],
    bound,
  });
}

describe.each(['separate', 'fused'] as const)('with %s multiply-add', (fma) => {
  it.each(cases)('$name stays within its bound', ({ emit, exact, range, bound }) => {
    const inputs = sweep(...range);
    const outputs = evaluate(emit, inputs, fma);
    let worst = { ratio: -1, x: NaN, y: NaN };
    inputs.forEach((x, i) => {
      const y = outputs[i] ?? NaN;
      const error = Math.abs(y - exact(x));
      // Half a unit in the last place of float32's smallest numbers is no error of ours.
      const ratio = error <= 1e-38 ? 0 : error / bound(x, exact(x));
      if (!(ratio <= worst.ratio)) worst = { ratio, x, y };
    });
    expect(worst.ratio, `at ${worst.x}: ${worst.y}`).toBeLessThanOrEqual(1);
  });
});

describe('far away', () => {
  const far = Float32Array.of(-3e38, -1e10, -1000, -100, 100, 1000, 1e10, 3e38);

  it.each(['relu', 'relu6', 'gelu', 'silu', 'sigmoid', 'tanh'] as const)('%s saturates', (activation) => {
    const outputs = evaluate((b, x) => activate(b, activation, x), far, 'separate');
    far.forEach((x, i) => {
      const exact = meaning.activate(activation, x);
      const bound = 2e-7 * Math.abs(exact) + 1e-36 * Math.max(1, Math.abs(x));
      expect(Math.abs((outputs[i] ?? NaN) - exact)).toBeLessThanOrEqual(bound);
    });
  });

  it.each(['gelu', 'silu', 'sigmoid', 'tanh'] as const)('the derivative of %s is constant', (activation) => {
    const slopes = evaluate((b, x) => activationDerivative(b, activation, x), far, 'separate');
    far.forEach((x, i) => {
      // SiLU's is s · (1 + x · (1 − s)), where s never quite becomes 0.
      if (activation === 'silu' && Math.abs(x) > 1e10) return;
      const error = Math.abs((slopes[i] ?? NaN) - meaning.activationDerivative(activation, x));
      expect(error).toBeLessThanOrEqual(activation === 'tanh' ? 6e-7 : 1e-25);
    });
  });

  it('exp stays finite and positive', () => {
    const outputs = evaluate(exp, far, 'separate');
    for (const y of outputs) expect(Number.isFinite(y) && y > 0).toBe(true);
    expect(outputs[0]).toBeLessThan(2e-38);
    expect(outputs[7]).toBeGreaterThan(2e38);
  });

  it('gelu is exactly zero', () => {
    expect(Math.abs(evaluate(gelu, Float32Array.of(-20), 'separate')[0] ?? NaN)).toBe(0);
  });
});

describe('every activation', () => {
  const all: Activation[] = ['none', 'relu', 'relu6', 'gelu', 'silu', 'sigmoid', 'tanh'];

  it.each(all)('%s keeps NaN, and zero as keepsZero says', (activation) => {
    const [nan, zero] = evaluate((b, x) => activate(b, activation, x), Float32Array.of(NaN, 0), 'separate');
    expect(nan).toBeNaN();
    expect(zero === 0).toBe(keepsZero(activation));
  });

  it.each(all)('%s is the same for f32 and vec', (activation) => {
    const inputs = sweep(-5, 5, 64).subarray(0, 64);
    const vectors = evaluate((b, x) => activate(b, activation, x), inputs, 'separate');
    const b = new KernelBuilder({ name: 'scalar', description: 'test', lanes: 4, tasks: 64 });
    const x = b.input('x');
    const y = b.output('y');
    b.store(y, b.task, activate(b, activation, b.loadScalar(x, b.task)));
    const scalars = new Float32Array(64).fill(NaN);
    interpret(b.build(), { x: inputs, y: scalars });
    expect(scalars).toEqual(vectors);
  });
});
