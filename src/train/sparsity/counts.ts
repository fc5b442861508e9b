import { elements, nodesOf, parametersOf, selectOutputs } from '../../graph/graph.ts';
import type { Graph } from '../../graph/graph.ts';
import { costOf } from '../../graph/lower.ts';
import { isMasked } from './scope.ts';
import type { SparsityScope } from './scope.ts';

/** What remains of a network: parameters that are not masked away, and multiply-accumulates with them, for one run. */
export interface SparseCounts {
  readonly parameters: number;
  readonly macs: number;
}

/**
 * Counts only weights that are not zero, as SLaK's tables do; a layer's multiply-accumulates shrink by its density. Of a
 * classifier, its `logits` count.
 *
 * @param densityOf the share of a weight that remains; undefined for dense ones
 */
export function sparseCounts(graph: Graph, densityOf: (key: string) => number | undefined): SparseCounts {
  const counted = graph.outputs.has('logits') ? selectOutputs(graph, ['logits']) : graph;
  const parameters = parametersOf(counted).filter(({ buffer }) => !buffer);
  return {
    parameters: parameters.reduce(
      (sum, { key, shape }) => sum + Math.round(elements(shape) * (densityOf(key) ?? 1)),
      0,
    ),
    macs: nodesOf(counted).reduce((sum, node) => {
      const weight = node.parameters.weight;
      const density = weight === undefined ? 1 : (densityOf(weight.key) ?? 1);
      return sum + costOf(node).macs * density;
    }, 0),
  };
}

/** A network's size if each masked layer has the same density. */
export function uniformCounts(graph: Graph, density: number, scope: SparsityScope = 'all'): SparseCounts {
  const masked = new Set(
    parametersOf(graph)
      .filter((parameter) => isMasked(parameter, scope))
      .map(({ key }) => key),
  );
  return sparseCounts(graph, (key) => (masked.has(key) ? density : undefined));
}
