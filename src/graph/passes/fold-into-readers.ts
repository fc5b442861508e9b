import { nodesOf, rewriteGraph } from '../graph.ts';
import type { Graph, Node } from '../graph.ts';
import type { ChannelAffine } from './channel-affine.ts';
import { foldBefore } from './fold.ts';
import { firstInput, isLayer } from './patterns.ts';
import type { Users } from './patterns.ts';

/** What a node does last, as an affine map of channels, and what is left of the node without that. */
export interface Dissolvable {
  readonly affine: ChannelAffine;
  remains(this: void, node: Node): Node;
}

/**
 * Takes the affine maps that `dissolvable` finds into the weights of all layers that read them. A map stays where
 * it is if one of its readers cannot take it, or if it is an output of the graph.
 */
export function foldIntoReaders(
  graph: Graph,
  users: Users,
  dissolvable: (node: Node) => Dissolvable | undefined,
): Graph {
  const dissolved = new Map<Node, Dissolvable>();
  for (const node of nodesOf(graph)) {
    const readers = users.get(node) ?? [];
    if (!readers.every((reader) => reader !== undefined && canTake(reader, node))) continue;
    const found = dissolvable(node);
    if (found !== undefined) dissolved.set(node, found);
  }
  return rewriteGraph(graph, (node, original) => {
    const own = dissolved.get(original);
    if (own !== undefined) return own.remains(node);
    const before = original.inputs[0] && dissolved.get(original.inputs[0]);
    return before !== undefined && isLayer(node) ? foldBefore(node, before.affine, firstInput(node)) : node;
  });
}

/**
 * Whether a layer can take an affine map of its input: it must read it nowhere else (as a residual), and
 * without padding, whose zeros the map would change.
 */
function canTake(layer: Node, input: Node): boolean {
  if (!isLayer(layer) || layer.inputs.lastIndexOf(input) !== 0) return false;
  return layer.op.type === 'linear' || Object.values(layer.op.padding).every((pixels) => pixels === 0);
}
