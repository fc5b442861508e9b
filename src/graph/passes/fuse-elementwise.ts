import { makeNode } from '../builder.ts';
import { rewriteGraph, usersOf } from '../graph.ts';
import type { Graph } from '../graph.ts';
import type { ElementwiseOp } from '../op.ts';
import { isElementwise, isUsedOnce } from './patterns.ts';

/** Makes one chain of element-wise chains that read each other and are read by nothing else: one pass over memory. */
export function fuseElementwise(graph: Graph): Graph {
  const users = usersOf(graph);
  return rewriteGraph(graph, (node, original) => {
    if (!isElementwise(node)) return node;
    const index = node.inputs.findIndex((input, i) => {
      const before = original.inputs[i];
      return before !== undefined && isElementwise(input) && isUsedOnce(users, before);
    });
    const inner = node.inputs[index];
    if (inner === undefined || !isElementwise(inner) || index > exchangeable(node.op)) return node;
    const others = node.inputs.filter((_, i) => i !== index);
    const op: ElementwiseOp = { type: 'elementwise', steps: [...inner.op.steps, ...node.op.steps] };
    return makeNode(node.name, op, [...inner.inputs, ...others]);
  });
}

/** The last input that may change places with the first: those of a sum or of a product that the chain begins with. */
function exchangeable({ steps }: ElementwiseOp): number {
  const [first] = steps;
  if (first?.kind !== 'add' && first?.kind !== 'mul') return 0;
  const end = steps.findIndex(({ kind }) => kind !== first.kind);
  return end < 0 ? steps.length : end;
}
