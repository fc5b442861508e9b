import { describe, expect, it } from 'vitest';
import { GraphBuilder, makeNode } from '../../../src/graph/builder.ts';
import { dump } from '../../../src/graph/dump.ts';
import type { Node } from '../../../src/graph/graph.ts';
import { fuseElementwise } from '../../../src/graph/passes/fuse-elementwise.ts';
import { countOps, expectSameOutputs } from '../../support/graph-values.ts';

function fused(build: (b: GraphBuilder, x: Node, z: Node) => Node) {
  const b = new GraphBuilder('test');
  const x = b.input([2, 3, 2, 4]);
  b.output('y', build(b, x, b.softmax(x)));
  const graph = b.build();
  const changed = fuseElementwise(graph);
  expectSameOutputs(changed, graph, 1e-15);
  return changed;
}

const mul = (...inputs: Node[]): Node =>
  makeNode(
    'mul',
    { type: 'elementwise', steps: inputs.slice(1).map(() => ({ kind: 'mul' as const })) },
    inputs,
  );
const sub = (...inputs: Node[]): Node =>
  makeNode(
    'sub',
    { type: 'elementwise', steps: inputs.slice(1).map(() => ({ kind: 'sub' as const })) },
    inputs,
  );

describe('fuseElementwise', () => {
  it('makes one chain of many', () => {
    const graph = fused((b, x, z) => b.activation(mul(b.relu(b.add(x, z)), z), 'gelu'));
    expect(dump(graph)).toContain('add, relu, mul, gelu (%0, %1, %1)');
    expect(countOps(graph)).toEqual({ elementwise: 1, softmax: 1 });
  });

  it('exchanges the terms of sums and the factors of products', () => {
    expect(dump(fused((b, x, z) => b.add(x, z, b.relu(z))))).toContain('relu, add, add (%1, %0, %1)');
    expect(dump(fused((b, x, z) => mul(x, b.relu(z))))).toContain('relu, mul (%1, %0)');
  });

  it('does not exchange the terms of differences, nor what comes after another step', () => {
    expect(countOps(fused((b, x, z) => sub(x, b.relu(z))))).toEqual({ elementwise: 2, softmax: 1 });
    const steps = [{ kind: 'add' }, { kind: 'mul' }] as const;
    const later = fused((b, x, z) => makeNode('c', { type: 'elementwise', steps }, [x, z, b.relu(z)]));
    expect(countOps(later)).toEqual({ elementwise: 2, softmax: 1 });
  });

  it('leaves chains that are read twice, or are outputs', () => {
    const twice = fused((b, x, z) => {
      const y = b.relu(x);
      return b.add(b.activation(y, 'silu'), mul(y, z));
    });
    expect(countOps(twice)).toEqual({ elementwise: 3, softmax: 1 });
    const output = fused((b, x) => b.relu(b.output('first', b.activation(x, 'tanh'))));
    expect(countOps(output)).toEqual({ elementwise: 2 });
  });
});
