import type { Activation } from '../../kernels/problem.ts';
import { NO_EPILOGUE } from '../../kernels/problem.ts';
import { makeNode } from '../builder.ts';
import { rewriteGraph } from '../graph.ts';
import type { Graph, Node } from '../graph.ts';
import { firstInput, isAffine, isBatchNorm, isLayer, parameterOf } from './patterns.ts';
import type { Layer } from './patterns.ts';

/**
 * The opposite of `fuseEpilogues`: layers add at most a bias, and what came behind are nodes again. Gradients need the
 * values between.
 */
export function splitEpilogues(graph: Graph): Graph {
  return rewriteGraph(graph, (node) => {
    if (isLayer(node)) return isAffine(node.op.epilogue) ? node : splitLayer(node);
    if (!isBatchNorm(node) || node.op.activation === 'none') return node;
    return activated({ ...node, op: { ...node.op, activation: 'none' } }, node.op.activation);
  });
}

/** finalActivation(scale · activation(layer + bias) + residual), a node a step. */
function splitLayer(layer: Layer): Node {
  const { name, op, parameters } = layer;
  const { epilogue } = op;
  const { scale: _, ...own } = parameters;
  const plain = { ...op, epilogue: { ...NO_EPILOGUE, bias: epilogue.bias } };
  let y = activated(makeNode(name, plain, [firstInput(layer)], own), epilogue.activation);
  if (epilogue.scale)
    y = makeNode(name, { type: 'layer-scale' }, [y], { gamma: parameterOf(layer, 'scale') });
  const [, residual] = layer.inputs;
  if (epilogue.residual && residual) {
    y = makeNode(name, { type: 'elementwise', steps: [{ kind: 'add' }] }, [y, residual]);
  }
  return activated(y, epilogue.finalActivation);
}

function activated(node: Node, activation: Activation): Node {
  if (activation === 'none') return node;
  return makeNode(node.name, { type: 'elementwise', steps: [{ kind: 'activation', activation }] }, [node]);
}
