import { expect } from 'vitest';
import { Random } from '../../src/core/random.ts';
import { evaluate } from '../../src/graph/evaluate.ts';
import { elements, nodesOf, parametersOf } from '../../src/graph/graph.ts';
import type { Graph, Parameter } from '../../src/graph/graph.ts';

/** Weights that depend on nothing but key and shape, of the sizes that trained networks have. */
export function weightsFor(graph: Graph): (key: string) => Float32Array {
  const weights = new Map(parametersOf(graph).map((parameter) => [parameter.key, valuesOf(parameter)]));
  return (key) => {
    const values = weights.get(key);
    if (values === undefined) throw new Error(`The graph as it was built has no parameter ${key}.`);
    return values;
  };
}

function valuesOf({ key, shape }: Parameter): Float32Array {
  const t = new Random(key).array(elements(shape));
  const role = key.split('.').at(-1);
  if (role === 'running_var') return t.map((v) => 1 + 0.5 * v);
  if (role === 'gamma') return t.map((v) => 0.5 + 0.25 * v);
  if (role === 'bias' || role === 'running_mean') return t.map((v) => 0.1 * v);
  if (shape.length < 2) return t.map((v) => 1 + 0.25 * v);
  const scale = Math.sqrt(3 / elements(shape.slice(1)));
  return t.map((v) => v * scale);
}

/** The graph's outputs for random input and the weights of `built`, the graph before passes. */
export function outputsOf(graph: Graph, built: Graph): ReadonlyMap<string, Float64Array> {
  return evaluate(graph, new Random('input').array(elements(graph.input.shape)), weightsFor(built));
}

/**
 * A folded weight is rounded to float32, so outputs move by some 2^-24 of the sum of the magnitudes that meet in
 * them; by less than this part of the largest output.
 */
const ROUNDING = 1e-6;

/** Expects the outputs of `changed` to be those of `built`, up to the rounding of derived weights, or exactly. */
export function expectSameOutputs(changed: Graph, built: Graph, tolerance = ROUNDING): void {
  const expected = outputsOf(built, built);
  const actual = outputsOf(changed, built);
  expect([...actual.keys()]).toEqual([...expected.keys()]);
  for (const [name, wanted] of expected) {
    const got = actual.get(name) ?? new Float64Array();
    expect(got.length).toBe(wanted.length);
    const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const error = wanted.reduce((most, value, i) => Math.max(most, Math.abs(value - (got[i] ?? NaN))), 0);
    expect(error, `error of ${name}`).toBeLessThanOrEqual(tolerance * largest);
  }
}

/** How often each op occurs, the input left out. */
export function countOps(graph: Graph): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { op } of nodesOf(graph)) {
    if (op.type !== 'input') counts[op.type] = (counts[op.type] ?? 0) + 1;
  }
  return counts;
}
