import { describe, expect, it } from 'vitest';
import { GraphBuilder } from '../../src/graph/builder.ts';
import { nodesOf } from '../../src/graph/graph.ts';
import type { Graph } from '../../src/graph/graph.ts';
import { optimize } from '../../src/graph/passes/index.ts';
import { convFirst } from '../../src/models/convfirst.ts';
import { optimizeFor, planGraph } from '../../src/runtime/plan.ts';
import { countOps } from '../support/graph-values.ts';
import { interpreterCaps } from '../support/kernel-harness.ts';

const caps = interpreterCaps([16, 8, 4]);

/** A grouped convolution and two linear layers. */
function block(channels: number, groups: number): Graph {
  const b = new GraphBuilder('block');
  const x = b.input([1, 24, 24, channels]);
  const y = b.conv(x, 'spatial', { outputs: channels, kernel: 3, groups });
  b.output('y', b.linear(b.relu(b.linear(y, 'up', 4 * channels)), 'down', channels));
  return b.build();
}

describe('optimizeFor', () => {
  it('fuses ConvFirst blocks on large maps, and plans them', () => {
    const b = new GraphBuilder('convfirst');
    const options = { expansion: 3, outputs: 16, stride: 1 };
    b.output('y', convFirst(b, b.input([16, 128, 128, 16]), 'block', options));
    const graph = optimize(b.build(), optimizeFor(caps));
    expect(countOps(graph)).toEqual({ convfirst: 1 });
    expect(planGraph(graph, caps).nodes.map(({ candidate }) => candidate.family)).toEqual([
      'convfirst-fused',
    ]);
  });

  it('leaves layers apart whose weights every thread would have to read', () => {
    const b = new GraphBuilder('ffn');
    const x = b.input([1, 7, 7, 768]);
    b.output('y', b.linear(b.activation(b.linear(x, 'up', 3072), 'gelu'), 'down', 768));
    expect(countOps(optimize(b.build(), optimizeFor(caps)))).toEqual({ linear: 2 });
  });

  it('never fuses what no kernel computes whole', () => {
    // Groups of three channels are narrower than any vector.
    const graph = optimize(block(24, 8), optimizeFor(caps));
    expect(countOps(graph)).not.toHaveProperty('convfirst');
    expect(planGraph(graph, caps).nodes.length).toBe(nodesOf(graph).length - 1);
  });
});
