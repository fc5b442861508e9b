import { invalidArgument } from '../core/errors.ts';
import { nodesOf } from './graph.ts';
import type { Graph, Node, Parameter } from './graph.ts';
import { lower } from './lower.ts';
import { reference } from './reference.ts';
import { elements } from './graph.ts';
import type { Floats } from './tensors.ts';

/**
 * What a graph means: its outputs in float64, slowly, op by op.
 *
 * @param input [N, H, W, C], without padding between pixels
 * @param values a parameter's values by its key; those of derived parameters are computed
 * @param extra further inputs, by the names of their nodes: training graphs have some
 * @returns each output [N, H, W, C], by name
 * Throws `invalid-argument` if an input is missing or of another length.
 */
export function evaluate(
  graph: Graph,
  input: Floats,
  values: (key: string) => Floats,
  extra: ReadonlyMap<string, Floats> = new Map(),
): ReadonlyMap<string, Float64Array> {
  if (input.length !== elements(graph.input.shape)) {
    throw invalidArgument(
      `The input must have the ${elements(graph.input.shape)} values of [${graph.input.shape.join(', ')}], got ${input.length}.`,
    );
  }
  const results = new Map<Node, Floats>([[graph.input, input]]);
  for (const node of nodesOf(graph)) {
    if (results.has(node)) continue;
    if (node.op.type === 'input') {
      results.set(node, extraInput(node, extra));
      continue;
    }
    const { problem, inputs, weights } = lower(node, (channels) => channels);
    const inputTensors: Record<string, Floats> = {};
    for (const [name, from] of inputs) inputTensors[name] = resultOf(results, from);
    const weightTensors: Record<string, Floats> = {};
    for (const [name, parameter] of weights) weightTensors[name] = floatsOf(parameter, values);
    results.set(node, reference(problem, inputTensors, weightTensors));
  }
  return new Map(
    [...graph.outputs].map(([name, node]) => [name, Float64Array.from(resultOf(results, node))]),
  );
}

/** A parameter's values, through its derivation if it has one. */
export function parameterValues(parameter: Parameter, values: (key: string) => Float32Array): Float32Array {
  const { derivation } = parameter;
  if (derivation === undefined) return values(parameter.key);
  return derivation.compute(derivation.from.map((source) => parameterValues(source, values)));
}

/** The same in whatever precision the values have; derivations are in float32. */
function floatsOf(parameter: Parameter, values: (key: string) => Floats): Floats {
  if (parameter.derivation === undefined) return values(parameter.key);
  return parameterValues(parameter, (key) => Float32Array.from(values(key)));
}

function extraInput({ name, shape }: Node, extra: ReadonlyMap<string, Floats>): Floats {
  const values = extra.get(name);
  if (values?.length !== elements(shape)) {
    throw invalidArgument(
      `The input ${name} must have the ${elements(shape)} values of [${shape.join(', ')}], got ${values?.length ?? 'none'}.`,
    );
  }
  return values;
}

function resultOf(results: ReadonlyMap<Node, Floats>, node: Node): Floats {
  const result = results.get(node);
  if (result === undefined) throw invalidArgument(`${node.name} is used before it is computed.`);
  return result;
}
