import type { ModelCase } from '../../src/bench/model-case.ts';
import { Random } from '../../src/core/random.ts';
import { elements, selectOutputs } from '../../src/graph/graph.ts';
import type { Graph } from '../../src/graph/graph.ts';
import { macsOf } from '../../src/graph/lower.ts';
import { weightsFor } from './graph-values.ts';

/** A graph with one of its outputs as a case of the benchmark, with the input and weights of `outputsOf`. */
export function graphCase(built: Graph, output = 'y'): ModelCase {
  const y = built.outputs.get(output);
  if (y === undefined) throw new Error(`The graph has no output ${output}.`);
  const graph = selectOutputs({ ...built, outputs: new Map([['logits', y]]) }, ['logits']);
  const values = weightsFor(graph);
  return {
    model: built.name,
    request: { model: built.name, weights: 'synthetic' },
    shape: graph.input.shape.join(','),
    graph,
    merged: graph,
    weights: { read: (key) => Promise.resolve(values(key)) },
    source: undefined,
    input: new Random('input').array(elements(graph.input.shape)),
    macs: macsOf(graph),
    warnings: [],
    dispose: () => Promise.resolve(),
  };
}
