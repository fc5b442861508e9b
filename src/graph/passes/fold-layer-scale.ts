import { rewriteGraph, usersOf } from '../graph.ts';
import type { Graph, Node } from '../graph.ts';
import type { LayerScaleOp } from '../op.ts';
import { layerScaleAffine } from './channel-affine.ts';
import { foldAfter } from './fold.ts';
import { isAffine, isLayer, ownInput } from './patterns.ts';
import type { NodeOf } from './patterns.ts';

/** Takes layer scale into the weights of the layer before it: W′ = diag(γ) · W, b′ = γ · b. */
export function foldLayerScale(graph: Graph): Graph {
  const users = usersOf(graph);
  return rewriteGraph(graph, (node, original) => {
    if (!isLayerScale(node)) return node;
    const layer = ownInput(users, node, original);
    if (layer === undefined || !isLayer(layer) || !isAffine(layer.op.epilogue)) return node;
    return foldAfter(layer, layerScaleAffine(node));
  });
}

function isLayerScale(node: Node): node is NodeOf<LayerScaleOp> {
  return node.op.type === 'layer-scale';
}
