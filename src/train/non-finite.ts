import type { WeightSource } from '../checkpoints/source.ts';
import type { Device } from '../devices/device.ts';
import { nodesOf, parametersOf } from '../graph/graph.ts';
import type { Graph, Node } from '../graph/graph.ts';
import { createTrainingSession } from './training-session.ts';
import type { TrainingSession } from './training-session.ts';
import type { State } from './update-steps.ts';

/** Outputs stay in memory, so not all layers are looked at in one run. */
const LAYERS_A_RUN = 16;

/**
 * Where a network's numbers stop being finite: the first parameter or, if all of those are finite, the first layer in
 * order of computation that gives NaN or an infinity. Undefined if nothing does.
 *
 * @param graph a training graph without gradients
 * @param inputs all of its inputs, by name
 * Throws `aborted`, and what compiling throws.
 */
export async function findNonFinite(
  device: Device,
  graph: Graph,
  weights: Pick<WeightSource, 'read'>,
  inputs: ReadonlyMap<string, Float32Array>,
  signal?: AbortSignal,
): Promise<string | undefined> {
  for (const { key } of parametersOf(graph)) {
    if (!allFinite(await weights.read(key))) return `the parameter ${key}`;
  }
  const nodes = nodesOf(graph).filter(({ op }) => op.type !== 'input');
  for (let first = 0; first < nodes.length; first += LAYERS_A_RUN) {
    const some = nodes.slice(first, first + LAYERS_A_RUN);
    const bad = await firstNonFinite(device, graph, some, weights, inputs, signal);
    if (bad !== undefined) return bad.name;
  }
  return undefined;
}

/** The first of some nodes of a graph, in order, whose result is not finite. */
async function firstNonFinite(
  device: Device,
  graph: Graph,
  nodes: readonly Node[],
  weights: Pick<WeightSource, 'read'>,
  inputs: ReadonlyMap<string, Float32Array>,
  signal: AbortSignal | undefined,
): Promise<Node | undefined> {
  const part: Graph = { ...graph, outputs: new Map(nodes.map((node, i) => [String(i), node])) };
  const stop = { ...(signal && { signal }) };
  const session = await createTrainingSession(device, part, { optimizer: 'sgd', groupOf: () => '', ...stop });
  try {
    for (const { key } of parametersOf(part)) session.stateOf('values', key).set(await weights.read(key));
    const wanted = new Map(
      [...session.plan.inputs.keys()].map((name) => [name, inputs.get(name) ?? new Float32Array()]),
    );
    const results = await session.run(wanted, stop);
    return nodes.find((_, i) => !allFinite(results.get(String(i)) ?? new Float32Array()));
  } finally {
    await session.dispose();
  }
}

/** The first parameter of whose values, gradients or the like one is not finite. */
export function nonFiniteKey(session: TrainingSession, state: State): string | undefined {
  const keys = [...session.layout.parameters.keys()];
  return keys.find((key) => !allFinite(session.stateOf(state, key)));
}

/** Whether none of the values is NaN or an infinity. */
export function allFinite(values: Float32Array): boolean {
  return values.every((value) => Number.isFinite(value));
}
