import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dump } from '../../../src/graph/dump.ts';
import { nodesOf, parametersOf } from '../../../src/graph/graph.ts';
import type { Graph } from '../../../src/graph/graph.ts';
import { foldBatchNorm } from '../../../src/graph/passes/fold-batch-norm.ts';
import { foldLayerNorm } from '../../../src/graph/passes/fold-layer-norm.ts';
import { foldLayerScale } from '../../../src/graph/passes/fold-layer-scale.ts';
import { fuseElementwise } from '../../../src/graph/passes/fuse-elementwise.ts';
import { fuseEpilogues } from '../../../src/graph/passes/fuse-epilogues.ts';
import { optimize } from '../../../src/graph/passes/index.ts';
import { reparameterize } from '../../../src/graph/passes/reparameterize.ts';
import { expectSameOutputs } from '../../support/graph-values.ts';
import { randomGraph } from '../../support/random-graph.ts';

/**
 * Layer norms of nearly constant channels magnify the rounding of weights, by up to 1 / √ε of theirs; so random
 * networks need a wider bound than real blocks.
 */
const TOLERANCE = 1e-4;

/** No parameter is in a graph twice under different values: equal keys, equal derivations. */
function expectUniqueKeys(graph: Graph): void {
  const byKey = new Map(parametersOf(graph).map((parameter) => [parameter.key, parameter]));
  for (const node of nodesOf(graph)) {
    for (const parameter of Object.values(node.parameters)) expect(byKey.get(parameter.key)).toBe(parameter);
  }
}

describe('random networks keep their outputs', () => {
  const passes: Record<string, (graph: Graph) => Graph> = {
    reparameterize,
    foldBatchNorm,
    foldLayerNorm,
    foldLayerScale,
    fuseEpilogues,
    fuseElementwise,
    optimize,
    'optimize, with fused blocks': (graph) => optimize(graph, { worthFusing: () => true }),
    'optimize without merging': (graph) => optimize(graph, { deploy: false }),
    // In an order that no one would choose, passes may do less, but nothing wrong.
    'all in reverse': (graph) =>
      [fuseElementwise, fuseEpilogues, foldLayerScale, foldLayerNorm, foldBatchNorm, reparameterize].reduce(
        (current, pass) => pass(current),
        graph,
      ),
    'optimize twice': (graph) => optimize(optimize(graph)),
  };

  it.each(Object.entries(passes))('%s', (_, pass) => {
    fc.assert(
      fc.property(randomGraph, (graph) => {
        const before = dump(graph);
        const changed = pass(graph);
        expectSameOutputs(changed, graph, TOLERANCE);
        expectUniqueKeys(changed);
        expect(nodesOf(changed).length).toBeLessThanOrEqual(nodesOf(graph).length);
        expect(dump(graph)).toBe(before);
      }),
      { numRuns: 120 },
    );
  });
});
