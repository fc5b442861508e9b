import { Random } from '../../src/core/random.ts';
import { evaluate } from '../../src/graph/evaluate.ts';
import { elements, parametersOf } from '../../src/graph/graph.ts';
import type { Graph } from '../../src/graph/graph.ts';

/** Random weights by key: variances are positive, matrices keep the size of what passes through. */
export function randomWeights(graph: Graph): (key: string) => Float32Array {
  const shapes = new Map(parametersOf(graph).map(({ key, shape }) => [key, shape]));
  return (key) => {
    const shape = shapes.get(key);
    if (shape === undefined) throw new Error(`The graph has no parameter ${key}.`);
    const fanIn = elements(shape.slice(1));
    const values = new Random(key).array(elements(shape), shape.length > 1 ? Math.sqrt(3 / fanIn) : 0.25);
    const isFactor = shape.length === 1 && /(weight|running_var|gamma)$/.test(key);
    return isFactor ? values.map((value) => 1 + value) : values;
  };
}

/** The outputs of a network with {@link randomWeights}, in float64. */
export function evaluateModel(graph: Graph, input: Float32Array): ReadonlyMap<string, Float64Array> {
  return evaluate(graph, input, randomWeights(graph));
}
