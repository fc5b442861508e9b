import { syntheticInput, syntheticWeights } from '../checkpoints/synthetic.ts';
import { parametersOf } from '../graph/graph.ts';
import type { Graph } from '../graph/graph.ts';
import { macsOf } from '../graph/lower.ts';
import { checkActivations } from './model-case.ts';
import type { ModelCase } from './model-case.ts';

/** When to fuse: where the planner expects a gain, or wherever there is a kernel for it. */
export type FuseChoice = 'planner' | 'always';

/** A block to time: a graph with one output. */
export interface BlockRequest {
  /** What results call it. */
  readonly name: string;
  readonly graph: Graph;
  /** Default `planner`. */
  readonly fuse?: FuseChoice;
}

/** One line of the benchmark of blocks, for all engines. */
export interface BlockCase extends ModelCase {
  readonly fuse: FuseChoice;
}

/**
 * A block with synthetic weights and input.
 * Throws `invalid-argument` for blocks whose activations would not fit most memories.
 */
export function openBlockCase({ name, graph, fuse = 'planner' }: BlockRequest): BlockCase {
  checkActivations(name, graph);
  const [batch, height, width, channels] = graph.input.shape;
  return {
    model: name,
    request: { model: name, weights: 'synthetic' },
    shape: graph.input.shape.join(','),
    graph,
    merged: graph,
    weights: syntheticWeights(parametersOf(graph)),
    source: undefined,
    input: syntheticInput([batch, channels, height, width]),
    macs: macsOf(graph),
    warnings: [],
    fuse,
    dispose: () => Promise.resolve(),
  };
}
