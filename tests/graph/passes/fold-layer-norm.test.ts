import { describe, expect, it } from 'vitest';
import { GraphBuilder } from '../../../src/graph/builder.ts';
import { nodesOf } from '../../../src/graph/graph.ts';
import type { Graph, Node } from '../../../src/graph/graph.ts';
import { foldLayerNorm } from '../../../src/graph/passes/fold-layer-norm.ts';
import { expectSameOutputs } from '../../support/graph-values.ts';

function graphOf(build: (b: GraphBuilder, x: Node) => Node): Graph {
  const b = new GraphBuilder('test');
  b.output('y', build(b, b.input([2, 5, 4, 4])));
  return b.build();
}

/** Whether the norms of the folded graph have weights, in order. */
function affineNorms(graph: Graph): boolean[] {
  const folded = foldLayerNorm(graph);
  expectSameOutputs(folded, graph);
  return nodesOf(folded).flatMap(({ op, parameters }) => {
    if (op.type !== 'layer-norm') return [];
    expect(Object.keys(parameters)).toEqual(op.affine ? ['weight', 'bias'] : []);
    return [op.affine];
  });
}

describe('foldLayerNorm', () => {
  it('into linear layers and convolutions without padding', () => {
    const graph = graphOf((b, x) => {
      const y = b.layerNorm(x, 'stem.1');
      const a = b.linear(y, 'pwconv1', 6);
      const c = b.conv(y, 'conv', { outputs: 6, kernel: 1, groups: 2 });
      const down = b.layerNorm(b.add(a, c), 'downsample.0');
      const patches = b.conv(down, 'downsample.1', {
        outputs: 8,
        kernel: 2,
        stride: 2,
        padding: 0,
        bias: true,
      });
      return b.linear(b.layerNorm(b.globalPool(patches), 'norm', 1e-5), 'head', 3);
    });
    expect(affineNorms(graph)).toEqual([false, false, false]);
  });

  it('keeps the weights of norms that something else reads', () => {
    const others: ((b: GraphBuilder, y: Node) => Node)[] = [
      (b, y) => b.add(y, b.linear(y, 'a', 4)),
      (b, y) => b.conv(y, 'a', { outputs: 4, kernel: 3 }),
      (b, y) => b.linear(b.globalPool(y), 'a', 4),
      (b, y) => b.linear(b.output('features', y), 'a', 4),
    ];
    for (const read of others)
      expect(affineNorms(graphOf((b, x) => read(b, b.layerNorm(x, 'n'))))).toEqual([true]);
  });

  it('does nothing the second time', () => {
    const folded = foldLayerNorm(graphOf((b, x) => b.linear(b.layerNorm(x, 'n'), 'a', 3)));
    expect(foldLayerNorm(folded)).toEqual(folded);
  });
});
