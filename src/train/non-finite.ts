import type { WeightSource } from '../checkpoints/source.ts';
import type { Device } from '../devices/device.ts';
import { nodesOf, parametersOf } from '../graph/graph.ts';
import type { Graph } from '../graph/graph.ts';
import { createTrainingSession } from './training-session.ts';

/**
 * Where a network's numbers stop being finite: the first parameter or, if all of those are finite, the first layer in
 * order of computation that gives NaN or an infinity. Undefined if nothing does.
 *
 * @param graph a training graph without gradients
 * @param inputs all of its inputs, by name
 */
export async function findNonFinite(
  device: Device,
  graph: Graph,
  weights: Pick<WeightSource, 'read'>,
  inputs: ReadonlyMap<string, Float32Array>,
): Promise<string | undefined> {
  for (const { key } of parametersOf(graph)) {
    if (!allFinite(await weights.read(key))) return `the parameter ${key}`;
  }
  const nodes = nodesOf(graph).filter(({ op }) => op.type !== 'input');
  const outputs = new Map(nodes.map((node, i) => [String(i), node]));
  const session = await createTrainingSession(
    device,
    { ...graph, outputs },
    { optimizer: 'sgd', groupOf: () => '' },
  );
  try {
    for (const { key } of parametersOf(graph)) session.stateOf('values', key).set(await weights.read(key));
    const wanted = new Map(
      [...session.plan.inputs.keys()].map((name) => [name, inputs.get(name) ?? new Float32Array()]),
    );
    const results = await session.run(wanted);
    const index = nodes.findIndex((_, i) => !allFinite(results.get(String(i)) ?? new Float32Array()));
    return nodes[index]?.name;
  } finally {
    await session.dispose();
  }
}

function allFinite(values: Float32Array): boolean {
  return values.every((value) => Number.isFinite(value));
}
