import { describe, expect, it } from 'vitest';
import { GraphBuilder, makeNode } from '../../../src/graph/builder.ts';
import { dump } from '../../../src/graph/dump.ts';
import type { Graph, Node } from '../../../src/graph/graph.ts';
import { fuseEpilogues } from '../../../src/graph/passes/fuse-epilogues.ts';
import type { ElementwiseStep } from '../../../src/kernels/problem.ts';
import { expectSameOutputs } from '../../support/graph-values.ts';

/** Nothing is rounded: only sums may be in another order. */
const EXACT = 1e-14;

function fused(build: (b: GraphBuilder, x: Node) => Node): string {
  const b = new GraphBuilder('test');
  b.output('y', build(b, b.input([2, 4, 3, 4])));
  const graph: Graph = b.build();
  const changed = fuseEpilogues(graph);
  expectSameOutputs(changed, graph, EXACT);
  return dump(changed);
}

const conv = (b: GraphBuilder, x: Node, name: string): Node =>
  b.conv(x, name, { outputs: 4, kernel: 3, bias: true });
const chain = (steps: readonly ElementwiseStep[], ...inputs: Node[]): Node =>
  makeNode('chain', { type: 'elementwise', steps }, inputs);

describe('fuseEpilogues', () => {
  it('the whole epilogue: activation, scale, residual, final activation', () => {
    const y = fused((b, x) => {
      const scaled = b.layerScale(b.activation(conv(b, x, 'a'), 'gelu'), 'gamma');
      return b.relu(b.add(x, scaled));
    });
    expect(y).toMatchInlineSnapshot(`
      "test
      %0 [2, 4, 3, 4] = input ()  input
      %1 [2, 4, 3, 4] = conv 3×3, bias, gelu, scale, residual, relu (%0, %0)  a
      y = %1
      "
    `);
  });

  it('two activations without a residual', () => {
    expect(fused((b, x) => b.activation(b.relu(conv(b, x, 'a')), 'sigmoid'))).toContain(
      'bias, relu, sigmoid (%0)',
    );
  });

  it('an activation behind a scale', () => {
    expect(fused((b, x) => b.relu(b.layerScale(conv(b, x, 'a'), 'gamma')))).toContain(
      'bias, scale, relu (%0)',
    );
  });

  it('an activation into a batch norm', () => {
    expect(fused((b, x) => b.relu(b.batchNorm(x, 'n')))).toContain('batch-norm, relu (%0)');
    expect(fused((b, x) => b.relu(b.relu(b.batchNorm(x, 'n'))))).toContain('%2 [2, 4, 3, 4] = relu (%1)');
  });

  it('a residual goes to the layer that runs last', () => {
    const sum = (order: 'first' | 'second') => (b: GraphBuilder, x: Node) => {
      const short = conv(b, x, 'short');
      const long = conv(b, b.relu(conv(b, x, 'long.0')), 'long.1');
      return order === 'first' ? b.add(short, long) : b.add(long, short);
    };
    // In order of first use: what the sum names first is computed first.
    expect(fused(sum('first'))).toMatchInlineSnapshot(`
      "test
      %0 [2, 4, 3, 4] = input ()  input
      %1 [2, 4, 3, 4] = conv 3×3, bias, relu (%0)  long.0
      %2 [2, 4, 3, 4] = conv 3×3, bias (%0)  short
      %3 [2, 4, 3, 4] = conv 3×3, bias, residual (%1, %2)  long.1
      y = %3
      "
    `);
    expect(fused(sum('second'))).toMatchInlineSnapshot(`
      "test
      %0 [2, 4, 3, 4] = input ()  input
      %1 [2, 4, 3, 4] = conv 3×3, bias, relu (%0)  long.0
      %2 [2, 4, 3, 4] = conv 3×3, bias (%1)  long.1
      %3 [2, 4, 3, 4] = conv 3×3, bias, residual (%0, %2)  short
      y = %3
      "
    `);
  });

  it('sums of many terms', () => {
    const y = fused((b, x) => {
      const z = b.softmax(x);
      return b.relu(b.add(z, conv(b, x, 'a'), x, conv(b, z, 'c')));
    });
    expect(y).toMatchInlineSnapshot(`
      "test
      %0 [2, 4, 3, 4] = input ()  input
      %1 [2, 4, 3, 4] = softmax (%0)  softmax
      %2 [2, 4, 3, 4] = conv 3×3, bias, residual (%0, %1)  a
      %3 [2, 4, 3, 4] = conv 3×3, bias, residual (%1, %2)  c
      %4 [2, 4, 3, 4] = add (%3, %0)  add
      %5 [2, 4, 3, 4] = relu (%4)  relu
      y = %5
      "
    `);
  });

  it('chains of several steps, as far as they fit', () => {
    const y = fused((b, x) =>
      chain(
        [{ kind: 'activation', activation: 'relu' }, { kind: 'add' }, { kind: 'activation', activation: 'gelu' }, { kind: 'mul' }, { kind: 'add' }], // prettier-ignore
        conv(b, x, 'a'),
        x,
        b.softmax(x),
        x,
      ),
    );
    expect(y).toMatchInlineSnapshot(`
      "test
      %0 [2, 4, 3, 4] = input ()  input
      %1 [2, 4, 3, 4] = conv 3×3, bias, relu, residual, gelu (%0, %0)  a
      %2 [2, 4, 3, 4] = softmax (%0)  softmax
      %3 [2, 4, 3, 4] = mul, add (%1, %2, %0)  chain
      y = %3
      "
    `);
  });

  it('neither products nor differences', () => {
    for (const kind of ['mul', 'sub'] as const) {
      expect(fused((b, x) => chain([{ kind }], conv(b, x, 'a'), x))).toContain(`= ${kind} (%1, %0)`);
    }
    const affine = { kind: 'affine', scale: 0.5, shift: 3 } as const;
    expect(fused((b, x) => chain([affine], conv(b, x, 'a')))).toContain('= × 0.5 + 3 (%1)');
  });

  it('drops activations that do nothing, and chains without steps where only they read', () => {
    const none = { kind: 'activation', activation: 'none' } as const;
    expect(fused((b, x) => b.softmax(chain([none], b.softmax(x))))).not.toContain('none');
    // x is read twice, so a layer must not take the activation just because it is the input of a copy.
    const y = fused((b, x) => {
      const a = conv(b, x, 'a');
      return b.add(b.relu(chain([], a)), a);
    });
    expect(y.match(/conv/g)?.length).toBe(1);
    expect(y).toContain('= relu (%');
  });

  describe('leaves alone', () => {
    it('layers that are read twice, also twice by one sum', () => {
      expect(fused((b, x) => { const a = conv(b, x, 'a'); return b.add(b.relu(a), a); })).toContain('= relu (%1)'); // prettier-ignore
      expect(fused((b, x) => { const a = conv(b, x, 'a'); return b.add(a, a); })).toContain('= add (%1, %1)'); // prettier-ignore
    });

    it('outputs of the graph', () => {
      const y = fused((b, x) =>
        b.relu(b.add(b.output('a', conv(b, x, 'a')), b.output('n', b.batchNorm(x, 'n')))),
      );
      expect(y).toMatchInlineSnapshot(`
        "test
        %0 [2, 4, 3, 4] = input ()  input
        %1 [2, 4, 3, 4] = conv 3×3, bias (%0)  a
        %2 [2, 4, 3, 4] = batch-norm (%0)  n
        %3 [2, 4, 3, 4] = add (%1, %2)  add
        %4 [2, 4, 3, 4] = relu (%3)  relu
        a = %1
        n = %2
        y = %4
        "
      `);
    });

    it('sums behind a second activation, which would come too late', () => {
      const y = fused((b, x) => b.add(b.activation(b.relu(conv(b, x, 'a')), 'sigmoid'), x));
      expect(y).toContain('= add (%1, %0)');
    });

    it('a second residual', () => {
      const y = fused((b, x) => b.add(b.add(conv(b, x, 'a'), x), b.softmax(x)));
      expect(y).toContain('add (%1, %2)');
    });
  });
});
