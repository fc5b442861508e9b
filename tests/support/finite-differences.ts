import { expect } from 'vitest';
import { Random } from '../../src/core/random.ts';
import { evaluate } from '../../src/graph/evaluate.ts';
import { elements, nodesOf, parametersOf } from '../../src/graph/graph.ts';
import type { Graph, Node } from '../../src/graph/graph.ts';
import { differentiate } from '../../src/graph/passes/differentiate.ts';
import type { DifferentiateOptions } from '../../src/graph/passes/differentiate.ts';
import type { Floats } from '../../src/graph/tensors.ts';
import { weightsFor } from './graph-values.ts';

/**
 * Step of central differences. They are off by h²·|f‴|/6 + ε·|f|/h, so that with ε = 2^-52 the best step for
 * functions of order one is near ε^⅓.
 */
const STEP = 1e-5;

/** Some thousand times that error; what a wrong gradient is off by is of the order of the gradient. */
const TOLERANCE = 2e-7;

/**
 * Where it is off by more, the step may have crossed a corner of relu or of a maximum: then a shorter one decides, whose
 * error is the rounding of the objective's sums.
 */
const SHORT_STEP = 1e-7;
const ROUNDING = 64 * 2 ** -52;

export interface GradientCheck extends Partial<DifferentiateOptions> {
  /** Elements of each parameter and of the input that are varied. Default: 6. */
  readonly samples?: number;
  /** How many parameters are varied at most. Default: all. */
  readonly varied?: number;
  /** Relative to the largest value of a gradient. */
  readonly tolerance?: number;
  readonly values?: (key: string) => Floats;
}

/** What a graph is evaluated with: everything can be varied. */
interface Point {
  readonly parameters: ReadonlyMap<string, Float64Array>;
  readonly inputs: ReadonlyMap<string, Float64Array>;
}

/**
 * Compares all gradients of `differentiate` with central differences of Σ output · seed, in float64. Expects gradients
 * of all parameters that are no buffers.
 */
export function expectGradients(graph: Graph, check: GradientCheck = {}): Graph {
  const outputs = check.outputs ?? [...graph.outputs.keys()];
  const options = {
    outputs,
    input: check.input ?? true,
    ...(check.parameters && { parameters: check.parameters }),
  };
  const trained = differentiate(graph, options);
  const point = pointOf(graph, trained, check.values ?? weightsFor(graph));
  const results = evaluateAt(trained, point);
  const objective = (): number => {
    const values = evaluateAt(graph, point);
    return outputs.reduce((sum, name) => sum + dot(values.get(name), point.inputs.get(`seed.${name}`)), 0);
  };
  const wanted = parametersOf(graph).filter((p) => !p.buffer && (check.parameters?.(p) ?? true));
  for (const { key } of subset(wanted, check.varied ?? wanted.length)) {
    const gradient = results.get(`gradient.${key}`);
    compare(key, gradient, point.parameters.get(key), objective, check);
  }
  if (options.input) {
    const { name } = graph.input;
    compare(name, results.get(`gradient.${name}`), point.inputs.get(name), objective, check);
  }
  return trained;
}

/** Some elements of a list, the same every time. */
function subset<T>(all: readonly T[], count: number): readonly T[] {
  const random = new Random('subset');
  const numbered = all.map((value, i) => ({ value, number: random.bits(i) }));
  numbered.sort((a, b) => a.number - b.number);
  return numbered.slice(0, count).map(({ value }) => value);
}

function compare(
  key: string,
  gradient: Float64Array | undefined,
  values: Float64Array | undefined,
  objective: () => number,
  { samples = 6, tolerance = TOLERANCE }: GradientCheck,
): void {
  if (gradient === undefined || values === undefined) throw new Error(`There is no gradient to ${key}.`);
  expect(gradient.length, `elements of the gradient to ${key}`).toBe(values.length);
  const scale = Math.max(1e-2, ...gradient.map(Math.abs));
  const random = new Random(`${key} samples`);
  const chosen = new Set(Array.from({ length: samples }, (_, i) => random.bits(i) % values.length));
  for (const index of chosen) {
    const error = (step: number): number =>
      Math.abs((gradient[index] ?? NaN) - slope(values, index, step, objective)) / scale;
    if (error(STEP) < tolerance) continue;
    const rounding = (ROUNDING * Math.abs(objective())) / (SHORT_STEP * scale);
    expect(error(SHORT_STEP), `error of the gradient to ${key}[${index}]`).toBeLessThan(tolerance + rounding);
  }
}

function slope(values: Float64Array, index: number, step: number, objective: () => number): number {
  const value = values[index] ?? NaN;
  values[index] = value + step;
  const above = objective();
  values[index] = value - step;
  const below = objective();
  values[index] = value;
  return (above - below) / (2 * step);
}

/** Values of all parameters and inputs, the same for the same names. */
export function pointOf(
  graph: Graph,
  trained: Graph,
  values: (key: string) => Floats = weightsFor(graph),
): Point {
  const keys = parametersOf(graph).map(({ key }) => key);
  const inputs = nodesOf(trained).filter(({ op }) => op.type === 'input');
  return {
    parameters: new Map(keys.map((key) => [key, Float64Array.from(values(key))])),
    inputs: new Map(inputs.map((node) => [node.name, inputValues(node)])),
  };
}

function inputValues({ name, shape }: Node): Float64Array {
  const values = Float64Array.from(new Random(name).array(elements(shape)));
  // Targets are distributions.
  return name === 'target' ? values.map(Math.abs) : values;
}

export function evaluateAt(graph: Graph, { parameters, inputs }: Point): ReadonlyMap<string, Float64Array> {
  const values = (key: string): Floats => {
    const found = parameters.get(key);
    if (found === undefined) throw new Error(`The graph as it was built has no parameter ${key}.`);
    return found;
  };
  return evaluate(graph, inputs.get(graph.input.name) ?? new Float64Array(), values, inputs);
}

function dot(a: Floats | undefined, b: Floats | undefined): number {
  if (a === undefined || b?.length !== a.length) throw new Error('There is an output without a seed.');
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] ?? NaN) * (b[i] ?? NaN);
  return sum;
}
