import { usersOf } from '../graph.ts';
import type { Graph, Node } from '../graph.ts';
import type { LayerNormOp } from '../op.ts';
import { layerNormAffine } from './channel-affine.ts';
import { foldIntoReaders } from './fold-into-readers.ts';
import type { NodeOf } from './patterns.ts';

/**
 * Takes the weights γ and β of layer norms into the layers that read them: W′ = W · diag(γ), b′ = b + W · β. The norm
 * only normalises then. All readers must be layers without padding.
 */
export function foldLayerNorm(graph: Graph): Graph {
  return foldIntoReaders(graph, usersOf(graph), (node) =>
    isAffineLayerNorm(node)
      ? {
          affine: layerNormAffine(node),
          remains: (current) => ({ ...current, op: { ...node.op, affine: false }, parameters: {} }),
        }
      : undefined,
  );
}

function isAffineLayerNorm(node: Node): node is NodeOf<LayerNormOp> {
  return node.op.type === 'layer-norm' && node.op.affine;
}
