import { describe, expect, it } from 'vitest';
import { GraphBuilder } from '../../../src/graph/builder.ts';
import { nodesOf, parametersOf } from '../../../src/graph/graph.ts';
import type { Graph, Node } from '../../../src/graph/graph.ts';
import { foldLayerScale } from '../../../src/graph/passes/fold-layer-scale.ts';
import { countOps, expectSameOutputs } from '../../support/graph-values.ts';

function folded(build: (b: GraphBuilder, x: Node) => Node): Graph {
  const b = new GraphBuilder('test');
  b.output('y', build(b, b.input([2, 5, 4, 4])));
  const graph = b.build();
  const changed = foldLayerScale(graph);
  expectSameOutputs(changed, graph);
  return changed;
}

describe('foldLayerScale', () => {
  it('into a linear layer and its bias', () => {
    const graph = folded((b, x) => b.add(x, b.layerScale(b.linear(x, 'pwconv2', 4), 'stages.0.0.gamma')));
    expect(countOps(graph)).toEqual({ linear: 1, elementwise: 1 });
    expect(parametersOf(graph).map(({ key }) => key)).toEqual([
      'pwconv2.weight with stages.0.0.gamma',
      'pwconv2.bias with stages.0.0.gamma',
    ]);
  });

  it('into a convolution, which gets no bias from it', () => {
    const graph = folded((b, x) =>
      b.layerScale(b.conv(x, 'a', { outputs: 6, kernel: 3, groups: 2 }), 'gamma'),
    );
    expect(countOps(graph)).toEqual({ conv: 1 });
    expect(nodesOf(graph)[1]?.op).toMatchObject({ epilogue: { bias: false } });
  });

  it('not across activations, nor into layers that others read', () => {
    const activated = folded((b, x) => b.layerScale(b.relu(b.linear(x, 'a', 4)), 'gamma'));
    expect(countOps(activated)).toEqual({ linear: 1, elementwise: 1, 'layer-scale': 1 });
    const shared = folded((b, x) => {
      const y = b.linear(x, 'a', 4);
      return b.add(y, b.layerScale(y, 'gamma'));
    });
    expect(countOps(shared)).toEqual({ linear: 1, 'layer-scale': 1, elementwise: 1 });
    const output = folded((b, x) => b.layerScale(b.output('a', b.linear(x, 'a', 4)), 'gamma'));
    expect(countOps(output)).toEqual({ linear: 1, 'layer-scale': 1 });
  });
});
