import { nodesOf, usersOf } from '../graph/graph.ts';
import type { Graph, Node } from '../graph/graph.ts';
import { isDepthwise, isLayer, isUsedOnce } from '../graph/passes/patterns.ts';
import { kindOf } from './kernel-kind.ts';
import type { Group } from './kernel-kind.ts';

/**
 * Where the pooling of squeeze-and-excitation and the product with its gate happen in layer-wise execution:
 * - `kernels`: in two kernels of their own, which read the map once more, and once more and write it;
 * - `fused`: the layer before adds up its output as it stores it, the layer after scales its input as it loads it;
 * - `auto`: fused where the map comes from a depthwise convolution, else kernels of their own. This is what the published
 *   figures follow: 30% for EfficientNet-B5, whose convolutions are depthwise, is what they alone attain, while 544 µs of
 *   Fig. 12 and 36% for ConvFirst-Small, whose convolutions are grouped, include both kernels. A depthwise kernel works
 *   on one channel at a time and so has a channel's sum at hand; the publication does not give the reason.
 */
export type SqueezeExcite = 'auto' | 'kernels' | 'fused';

export const SQUEEZE_EXCITE: readonly SqueezeExcite[] = ['auto', 'kernels', 'fused'];

/** Kernels that do more than their layer: a layer with the pooling after it, a layer with the product before it. */
export function gateGroups(graph: Graph, mode: SqueezeExcite): Group[] {
  if (mode === 'kernels') return [];
  const users = usersOf(graph);
  return nodesOf(graph).flatMap((scale) => {
    const [map, gate] = scale.inputs;
    if (scale.op.type !== 'channel-scale' || map === undefined || gate === undefined) return [];
    if (mode === 'auto' ? !isDepthwise(map) : !isLayer(map)) return [];
    const pool = poolOf(map, gate);
    const reader = users.get(scale)?.[0];
    const groups = pool === undefined ? [] : [[map, pool]];
    if (reader !== undefined && isLayer(reader) && isUsedOnce(users, scale) && reader.inputs[0] === scale) {
      groups.push([scale, reader]);
    }
    return groups.flatMap((nodes) => groupAround(nodes));
  });
}

/** The pooling of `map` that a gate follows from, through layers one after the other. */
export function poolOf(map: Node, gate: Node): Node | undefined {
  let node: Node | undefined = gate;
  while (node !== undefined && (isLayer(node) || node.op.type === 'elementwise')) node = node.inputs[0];
  return node?.op.type === 'global-pool' && node.inputs[0] === map ? node : undefined;
}

/** The kernel is named after its layer. */
function groupAround(nodes: readonly Node[]): Group[] {
  const layer = nodes.find(isLayer);
  const kind = layer && kindOf(layer);
  return layer === undefined || kind === undefined ? [] : [{ name: layer.name, kind, nodes }];
}
