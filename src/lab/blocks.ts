import { nodesOf, usersOf } from '../graph/graph.ts';
import type { Graph, Node } from '../graph/graph.ts';
import { isLayer, isUsedOnce } from '../graph/passes/patterns.ts';
import type { Layer, Users } from '../graph/passes/patterns.ts';
import { poolOf } from './gates.ts';
import { kindOf } from './kernel-kind.ts';
import type { Group } from './kernel-kind.ts';

/*
 * Block fusion (Lavin 2024): a whole residual block in one kernel. The input is read once, also where it is the shortcut, the
 * output is written once, and what is in between stays on chip: the hidden channels of a feed-forward network
 * FFN(X) = Σ_r φ(X·U_r + a_r)·V_r + b are made in groups, projected at once, and dropped.
 */

/** What the patterns below have in common: hidden channels, more than go in and come out, that are projected. */
interface Hidden {
  readonly project: Layer;
  /** What the projection reads. */
  readonly hidden: Node;
}

/**
 * The fusible blocks of a network as it runs (norms folded, epilogues fused), each node in one block at most:
 * - MBConv: 1×1 up → grouped or depthwise convolution (→ blur) (→ squeeze-and-excitation) → 1×1 down;
 * - ConvFirst: grouped or depthwise 3×3 (→ beside the input, blurred) → 1×1 up → 1×1 down;
 * - FFN: (layer norm →) 1×1 up → 1×1 down.
 */
export function blockGroups(graph: Graph): Group[] {
  const users = usersOf(graph);
  const taken = new Set<Node>();
  return nodesOf(graph).flatMap((node): Group[] => {
    const [hidden] = node.inputs;
    if (!isPointwise(node) || hidden === undefined || !isUsedOnce(users, hidden)) return [];
    const block = { project: node, hidden };
    const nodes = mbConv(users, block) ?? convFirst(users, block) ?? ffn(users, block);
    if (nodes === undefined || nodes.some((each) => taken.has(each))) return [];
    nodes.forEach((each) => taken.add(each));
    return [{ name: blockName(nodes), kind: 'fused', nodes }];
  });
}

function mbConv(users: Users, { project, hidden }: Hidden): Node[] | undefined {
  const isGated = hidden.op.type === 'channel-scale';
  const [map, gate] = isGated ? hidden.inputs : [hidden];
  if (map === undefined) return undefined;
  const blurred = map.op.type === 'blur-pool' ? map.inputs[0] : map;
  const expand = blurred?.inputs[0];
  if (!isSpatial(blurred) || !isExpansion(expand) || !isUsedOnce(users, expand)) return undefined;
  if (blurred !== map && !isUsedOnce(users, blurred)) return undefined;
  if (expand.op.outputs <= project.op.outputs) return undefined;
  const squeeze = gate === undefined ? [] : gateNodes(map, gate);
  // The map goes to the pooling and to the product, and nowhere else.
  if (squeeze === undefined || users.get(map)?.length !== (isGated ? 2 : 1)) return undefined;
  return distinct([expand, blurred, map, ...squeeze, hidden, project]);
}

function convFirst(users: Users, { project, hidden }: Hidden): Node[] | undefined {
  if (!isExpansion(hidden) || hidden.op.outputs <= project.op.outputs) return undefined;
  const [from] = hidden.inputs;
  if (from === undefined || !isUsedOnce(users, from)) return undefined;
  if (isSpatial(from)) return isSmall(from) ? [from, hidden, project] : undefined;
  const [joined] = from.op.type === 'blur-pool' ? from.inputs : [];
  if (joined?.op.type !== 'concat' || !isUsedOnce(users, joined)) return undefined;
  const spatial = joined.inputs.filter(
    (input) => isSpatial(input) && isSmall(input) && isUsedOnce(users, input),
  );
  return spatial.length === 1 ? [...spatial, joined, from, hidden, project] : undefined;
}

function ffn(users: Users, { project, hidden }: Hidden): Node[] | undefined {
  if (!isExpansion(hidden) || hidden.op.outputs <= project.op.outputs) return undefined;
  const [from] = hidden.inputs;
  const isOwnNorm = from?.op.type === 'layer-norm' && isUsedOnce(users, from);
  return isOwnNorm ? [from, hidden, project] : [hidden, project];
}

/** From the pooling of the map to its gate, layers in between; undefined if the gate does not follow from the map. */
function gateNodes(map: Node, gate: Node): Node[] | undefined {
  const pool = poolOf(map, gate);
  if (pool === undefined) return undefined;
  const nodes: Node[] = [];
  for (let node: Node | undefined = gate; node !== undefined && node !== map; node = node.inputs[0]) {
    nodes.unshift(node);
  }
  return nodes;
}

function isPointwise(node: Node | undefined): node is Layer {
  return node !== undefined && isLayer(node) && kindOf(node) === 'pointwise';
}

function isExpansion(node: Node | undefined): node is Layer {
  return isPointwise(node) && node.op.outputs > (node.inputs[0]?.shape[3] ?? Infinity);
}

function isSpatial(node: Node | undefined): node is Layer {
  const kind = node && kindOf(node);
  return kind === 'grouped' || kind === 'depthwise';
}

/** Tiles of a ConvFirst block are loaded with a halo, which must be small. */
function isSmall(node: Layer): boolean {
  return node.op.type === 'conv' && node.op.kernelHeight <= 3 && node.op.kernelWidth <= 3;
}

function distinct(nodes: readonly Node[]): Node[] {
  return [...new Set(nodes)];
}

/** What the names of its layers begin with: `stages.4.0` for `stages.4.0.expand.conv`, `stages.4.0.project.conv`, … */
function blockName(nodes: readonly Node[]): string {
  const [first = [], ...others] = nodes.filter(isLayer).map(({ name }) => name.split('.'));
  const differing = first.findIndex((part, i) => others.some((other) => other[i] !== part));
  return (differing < 0 ? first : first.slice(0, differing)).join('.') || (nodes.at(-1)?.name ?? 'block');
}
