import { describe, expect, it } from 'vitest';
import { GraphBuilder } from '../../../src/graph/builder.ts';
import { dump } from '../../../src/graph/dump.ts';
import type { Graph, Node } from '../../../src/graph/graph.ts';
import { macsOf } from '../../../src/graph/lower.ts';
import { splitBlocks } from '../../../src/graph/passes/fuse-blocks.ts';
import { optimize } from '../../../src/graph/passes/index.ts';
import { convFirst } from '../../../src/models/convfirst.ts';
import type { Block } from '../../../src/models/convfirst.ts';
import type { Problem } from '../../../src/kernels/problem.ts';
import { countOps, expectSameOutputs } from '../../support/graph-values.ts';

function graphOf(build: (b: GraphBuilder, x: Node) => Node): Graph {
  const b = new GraphBuilder('test');
  b.output('y', build(b, b.input([2, 6, 5, 16])));
  return b.build();
}

/** A stage of ConvFirstNet. */
function stage(b: GraphBuilder, x: Node, blocks: readonly Partial<Block>[], name = 'stage'): Node {
  return blocks.reduce<Node>(
    (y, block, i) => convFirst(b, y, `${name}.${i}`, { expansion: 2, outputs: 16, stride: 1, ...block }),
    x,
  );
}

const always = { worthFusing: () => true };

describe('chainBlocks', () => {
  it('blocks of one shape that follow each other become one', () => {
    const graph = graphOf((b, x) => stage(b, x, [{}, {}, {}]));
    const chained = optimize(graph, always);
    expectSameOutputs(chained, graph);
    expect(macsOf(chained)).toBe(macsOf(graph));
    expect(dump(chained)).toMatchInlineSnapshot(`
      "test
      %0 [2, 6, 5, 16] = input ()  input
      %1 [2, 6, 5, 16] = 3 times: conv 3×3 groups 2, bias; ffn 32, bias, relu; linear, bias, residual (%0)  stage.2.project.conv
      y = %1
      "
    `);
  });

  it('a stage with a stride: its first block stays alone', () => {
    const graph = graphOf((b, x) =>
      stage(b, x, [{ outputs: 24, stride: 2 }, { outputs: 24 }, { outputs: 24 }]),
    );
    const chained = optimize(graph, always);
    expectSameOutputs(chained, graph);
    expect(countOps(chained)).toEqual({ convfirst: 1, 'convfirst-chain': 1 });
  });

  it('blocks of other sizes begin another chain', () => {
    const graph = graphOf((b, x) => stage(b, x, [{}, {}, { expansion: 3 }, { expansion: 3 }]));
    const chained = optimize(graph, always);
    expectSameOutputs(chained, graph);
    expect(countOps(chained)).toEqual({ 'convfirst-chain': 2 });
  });

  it('a result that somebody else reads ends a chain', () => {
    const graph = graphOf((b, x) => {
      const features = b.output('features', stage(b, x, [{}, {}], 'first'));
      return stage(b, features, [{}], 'second');
    });
    const chained = optimize(graph, always);
    expectSameOutputs(chained, graph);
    expect(countOps(chained)).toEqual({ 'convfirst-chain': 1, convfirst: 1 });
  });

  it('a shortcut from further up is not part of a chain', () => {
    const block = (b: GraphBuilder, x: Node, shortcut: Node, name: string): Node => {
      const y = b.conv(x, `${name}.spatial`, { outputs: 16, kernel: 3, groups: 2 });
      const hidden = b.relu(b.linear(y, `${name}.up`, 32));
      return b.add(shortcut, b.linear(hidden, `${name}.down`, 16));
    };
    const graph = graphOf((b, x) => block(b, block(b, x, x, 'first'), x, 'second'));
    const fused = optimize(graph, always);
    expectSameOutputs(fused, graph);
    expect(countOps(fused)).toEqual({ convfirst: 2 });
  });

  it('asks each time about a chain that is one block longer', () => {
    const asked: { fused: Problem; layers: readonly string[] }[] = [];
    const graph = graphOf((b, x) => stage(b, x, [{}, {}, {}]));
    const chained = optimize(graph, {
      worthFusing: (fused, layers) => {
        if (fused.op !== 'convfirst-chain') return fused.op === 'convfirst';
        asked.push({ fused, layers: layers.map(({ op }) => op) });
        return fused.blocks < 3;
      },
    });
    expect(asked.map(({ layers }) => layers)).toEqual([
      ['convfirst', 'convfirst'],
      ['convfirst-chain', 'convfirst'],
    ]);
    expect(asked[0]?.fused).toMatchObject({ blocks: 2, channels: 16, hidden: 32 });
    expect(countOps(chained)).toEqual({ 'convfirst-chain': 1, convfirst: 1 });
    expectSameOutputs(chained, graph);
  });

  it('splitBlocks gives back the layers', () => {
    const graph = graphOf((b, x) => stage(b, x, [{}, {}, {}]));
    const layers = splitBlocks(optimize(graph, always));
    expectSameOutputs(layers, graph);
    expect(countOps(layers)).toEqual(countOps(optimize(graph)));
  });
});
