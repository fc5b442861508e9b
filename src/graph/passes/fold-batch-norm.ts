import { rewriteGraph, usersOf } from '../graph.ts';
import type { Graph, Node } from '../graph.ts';
import { makeNode } from '../builder.ts';
import { batchNormAffine } from './channel-affine.ts';
import { foldAfter } from './fold.ts';
import { foldIntoReaders } from './fold-into-readers.ts';
import { firstInput, isAffine, isBatchNorm, isLayer, ownInput, withEpilogue } from './patterns.ts';
import type { Layer, Users } from './patterns.ts';

/**
 * Takes batch norms into the weights of the layer before them or of all layers after them.
 *
 * A norm that could go both ways goes into the layer before it, which costs nothing. What goes into layers after
 * it is folded first: their new bias is a matrix-vector product, which then reads weights as they are in the
 * checkpoint.
 */
export function foldBatchNorm(graph: Graph): Graph {
  return foldIntoLayerBefore(foldIntoLayersAfter(moveBehindPool(graph)));
}

/** Layer → batch norm. The norm's activation becomes the layer's. */
function foldIntoLayerBefore(graph: Graph): Graph {
  const users = usersOf(graph);
  return rewriteGraph(graph, (node, original) => {
    const layer = layerBefore(users, node, original);
    if (layer === undefined || !isBatchNorm(node)) return node;
    return withEpilogue(foldAfter(layer, batchNormAffine(node)), { activation: node.op.activation });
  });
}

/** Batch norm → layers without padding. */
function foldIntoLayersAfter(graph: Graph): Graph {
  const users = usersOf(graph);
  return foldIntoReaders(graph, users, (node) =>
    isBatchNorm(node) && node.op.activation === 'none' && layerBefore(users, node, node) === undefined
      ? { affine: batchNormAffine(node), remains: firstInput }
      : undefined,
  );
}

/**
 * Batch norm → mean over pixels becomes mean → batch norm: the same, for fewer pixels, and a linear layer
 * behind can take it (RepLKNet's last norm).
 */
function moveBehindPool(graph: Graph): Graph {
  const users = usersOf(graph);
  return rewriteGraph(graph, (node, original) => {
    if (node.op.type !== 'global-pool') return node;
    const norm = ownInput(users, node, original);
    if (norm === undefined || !isBatchNorm(norm) || norm.op.activation !== 'none') return node;
    if (layerBefore(users, norm, firstInput(original)) !== undefined) return node;
    return makeNode(norm.name, norm.op, [{ ...node, inputs: norm.inputs }], norm.parameters);
  });
}

/** The layer before a node, if the node alone reads it and its epilogue leaves room for a norm. */
function layerBefore(users: Users, node: Node, original: Node): Layer | undefined {
  const layer = ownInput(users, node, original);
  return layer !== undefined && isLayer(layer) && isAffine(layer.op.epilogue) ? layer : undefined;
}
