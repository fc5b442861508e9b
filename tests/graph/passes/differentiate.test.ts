import fc from 'fast-check';
import { describe, it } from 'vitest';
import type { GraphBuilder } from '../../../src/graph/builder.ts';
import type { Node, Shape } from '../../../src/graph/graph.ts';
import { graphOf } from '../../support/graph-cases.ts';
import { expectGradients } from '../../support/finite-differences.ts';
import { randomGraph } from '../../support/random-graph.ts';

const SHAPE: Shape = [2, 5, 4, 6];
describe('gradients of each op are those of central differences', () => {
  const cases: Record<string, (b: GraphBuilder, x: Node) => Node> = {
    conv: (b, x) => b.conv(x, 'c', { outputs: 4, kernel: 3, bias: true }),
    linear: (b, x) => b.linear(x, 'l', 5),
    softmax: (b, x) => b.softmax(x),
    'batch norm with frozen statistics': (b, x) => b.batchNorm(x, 'n'),
  };
  it.each(Object.entries(cases))('%s', (_, build) => {
    expectGradients(graphOf(build, SHAPE));
  });
});
describe('random networks', () => {
  it('have the gradients of central differences', () => {
    fc.assert(
      fc.property(randomGraph, (graph) => void expectGradients(graph)),
      { numRuns: 30 },
    );
  });
});
