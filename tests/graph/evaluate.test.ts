import { describe, expect, it } from 'vitest';
import { GraphBuilder } from '../../src/graph/builder.ts';
import { evaluate, parameterValues } from '../../src/graph/evaluate.ts';
import type { Node, Parameter } from '../../src/graph/graph.ts';

const weights: Readonly<Record<string, number[]>> = {
  'fc.weight': [1, 2, -1, 0.5],
  'fc.bias': [0.25, 1],
  gamma: [2, -3],
};
const values = (key: string): Float32Array => Float32Array.from(weights[key] ?? []);

describe('evaluate', () => {
  it('computes every output by the ops and the weights named by key', () => {
    const b = new GraphBuilder('small');
    const x = b.input([1, 1, 2, 2]);
    const hidden = b.output('hidden', b.relu(b.linear(x, 'fc', 2)));
    b.output('y', b.add(b.layerScale(hidden, 'gamma'), x));
    b.output('mean', b.globalPool(x));
    const outputs = evaluate(b.build(), Float64Array.of(1, 2, -3, 4), values);
    // Pixels (1, 2) and (−3, 4): fc gives (5.25, 1) and (5.25, 6).
    expect(Object.fromEntries([...outputs].map(([name, data]) => [name, [...data]]))).toEqual({
      hidden: [5.25, 1, 5.25, 6],
      y: [11.5, -1, 7.5, -14],
      mean: [-1, 3],
    });
  });

  it('gives the input itself, as a copy', () => {
    const b = new GraphBuilder('identity');
    b.output('y', b.input([1, 1, 1, 2]));
    const input = Float64Array.of(1, 2);
    const y = evaluate(b.build(), input, values).get('y');
    expect(y).toEqual(input);
    expect(y).not.toBe(input);
  });

  it('takes further inputs by name', () => {
    const b = new GraphBuilder('several inputs');
    const x = b.input([1, 1, 1, 2]);
    const other: Node = { name: 'other', op: { type: 'input' }, inputs: [], parameters: {}, shape: x.shape };
    b.output('y', b.add(x, other));
    const graph = b.build();
    const run = (extra?: ReadonlyMap<string, Float64Array>) =>
      evaluate(graph, Float64Array.of(1, 2), values, extra).get('y');
    expect(run(new Map([['other', Float64Array.of(0.5, -3)]]))).toEqual(Float64Array.of(1.5, -1));
    expect(() => run()).toThrow('The input other must have the 2 values of [1, 1, 1, 2], got none.');
    expect(() => run(new Map([['other', new Float64Array(3)]]))).toThrow(
      'The input other must have the 2 values of [1, 1, 1, 2], got 3.',
    );
  });

  it('refuses inputs of another size', () => {
    const b = new GraphBuilder('small');
    b.output('y', b.relu(b.input([1, 2, 2, 3])));
    expect(() => evaluate(b.build(), new Float64Array(5), values)).toThrow(
      'The input must have the 12 values of [1, 2, 2, 3], got 5.',
    );
  });
});

describe('parameterValues', () => {
  it('follows derivations to the checkpoint', () => {
    const base = (key: string): Parameter => ({ key, shape: [2], buffer: false });
    const times: Parameter = {
      ...base('product'),
      derivation: {
        from: [base('gamma'), base('fc.bias')],
        compute: ([a = new Float32Array(), c = new Float32Array()]) => a.map((v, i) => v * (c[i] ?? NaN)),
      },
    };
    const negated: Parameter = {
      ...base('negated'),
      derivation: { from: [times], compute: ([a = new Float32Array()]) => a.map((v) => -v) },
    };
    expect([...parameterValues(negated, values)]).toEqual([-0.5, 3]);
    expect([...parameterValues(base('gamma'), values)]).toEqual([2, -3]);
  });
});
