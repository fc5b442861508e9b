import { describe, expect, it } from 'vitest';
import { Random } from '../../../src/core/random.ts';
import { evaluate } from '../../../src/graph/evaluate.ts';
import { elements, nodesOf, selectOutputs } from '../../../src/graph/graph.ts';
import type { Graph, Node } from '../../../src/graph/graph.ts';
import { costOf } from '../../../src/graph/lower.ts';
import { differentiate } from '../../../src/graph/passes/differentiate.ts';
import { planMemory } from '../../../src/graph/passes/plan-memory.ts';
import { recompute } from '../../../src/graph/passes/recompute.ts';
import { trainingForm } from '../../../src/graph/passes/training-form.ts';
import { convnext } from '../../../src/models/convnext.ts';
import { mobilenetV2 } from '../../../src/models/mobilenet.ts';
import { replknet } from '../../../src/models/replknet.ts';
import { weightsFor } from '../../support/graph-values.ts';

/** Floats of an arena in which every activation lives from its computation to its last use; gradients lie elsewhere. */
function arenaOf(graph: Graph): number {
  const order = nodesOf(graph);
  const gradients = new Set(
    [...graph.outputs].flatMap(([name, node]) => (name.startsWith('gradient.') ? [node] : [])),
  );
  const outputs = new Set(graph.outputs.values());
  const lastUse = new Map<Node, number>();
  order.forEach(({ inputs }, step) => inputs.forEach((input) => lastUse.set(input, step)));
  const buffers = order
    .map((node, step) => ({ node, step }))
    .filter(({ node }) => !gradients.has(node))
    .map(({ node, step }) => ({
      size: elements(node.shape),
      first: node.op.type === 'input' ? 0 : step,
      last: node.op.type === 'input' || outputs.has(node) ? order.length : (lastUse.get(node) ?? step),
    }));
  return planMemory(buffers).total;
}

/** Multiply-accumulates or bytes of all nodes together. */
function totalOf(graph: Graph, what: 'macs' | 'bytes'): number {
  return nodesOf(graph).reduce((sum, node) => sum + costOf(node)[what], 0);
}

function resultsOf(graph: Graph): ReadonlyMap<string, Float64Array> {
  const inputs = nodesOf(graph).filter(({ op }) => op.type === 'input');
  const values = new Map(
    inputs.map(({ name, shape }) => [name, new Random(name).array(elements(shape))] as const),
  );
  return evaluate(graph, values.get('input') ?? new Float64Array(), weightsFor(graph), values);
}

const networks = {
  ConvNeXt: convnext({ depths: [2, 2, 4, 2], channels: [4, 8, 12, 16] }),
  RepLKNet: replknet({
    kernels: [5, 5, 5, 3],
    smallKernel: 3,
    channels: [4, 8, 12, 16],
    depths: [1, 1, 3, 1],
  }),
  MobileNetV2: mobilenetV2({ width: 0.1 }),
};

describe.each(Object.entries(networks))('recompute %s', (_, variant) => {
  const build = (resolution: number): Graph =>
    differentiate(
      trainingForm(variant.build({ batch: 2, resolution, classes: 3 }), { dropPath: 0.1 }).graph,
      {
        outputs: ['loss'],
      },
    );

  it('keeps outputs and gradients, bit for bit', () => {
    const graph = build(32);
    const expected = resultsOf(graph);
    const actual = resultsOf(recompute(graph));
    expect([...actual.keys()]).toEqual([...expected.keys()]);
    for (const [name, values] of expected) expect(actual.get(name), name).toEqual(values);
  });

  it('shrinks the arena and adds less than a forward pass', () => {
    const graph = build(64);
    const light = recompute(graph);
    expect(arenaOf(light)).toBeLessThan(0.6 * arenaOf(graph));
    const forward = selectOutputs(graph, ['loss']);
    for (const what of ['macs', 'bytes'] as const) {
      const added = totalOf(light, what) - totalOf(graph, what);
      expect(added, what).toBeGreaterThan(0);
      expect(added, what).toBeLessThan(totalOf(forward, what));
    }
  });
});
