import { NO_EPILOGUE } from '../../kernels/problem.ts';
import type { Epilogue, Problem } from '../../kernels/problem.ts';
import { makeNode } from '../builder.ts';
import { rewriteGraph, usersOf } from '../graph.ts';
import type { Graph, Node, Parameter } from '../graph.ts';
import { lower } from '../lower.ts';
import type { ConvOp, FfnOp, LayerNormOp, LinearOp } from '../op.ts';
import { firstInput, isLayer, ownInput, parameterOf } from './patterns.ts';
import type { Layer, NodeOf } from './patterns.ts';

export interface FuseFfnOptions {
  /** Whether one kernel is to compute a block, instead of one for each of its layers, in their order. Default of `optimize`: never. */
  readonly worthFusing: (fused: Problem, layers: readonly Problem[]) => boolean;
  /** Floats from pixel to pixel for so many channels, in the problems that `worthFusing` sees. Default: no padding. */
  readonly pitch?: (channels: number) => number;
}

/**
 * Makes one `ffn` of two linear layers (or 1×1 convolutions) with an activation between them, and of the layer norm
 * without weights before them: what nobody else reads of their results never reaches memory then. Comes last, once
 * norms and residuals are where layers can take them.
 */
export function fuseFfn(
  graph: Graph,
  { worthFusing, pitch = (channels) => channels }: FuseFfnOptions,
): Graph {
  const users = usersOf(graph);
  const problemOf = (node: Node): Problem => lower(node, pitch).problem;
  return rewriteGraph(graph, (node, original) => {
    const up = ownInput(users, node, original);
    if (!isProduct(node) || up === undefined || !isProduct(up) || !onlyActivates(up)) return node;
    const [originalUp] = original.inputs;
    const norm = originalUp && ownInput(users, up, originalUp);
    const parts: readonly Node[][] = [...(norm && isPlainNorm(norm) ? [[norm, up, node]] : []), [up, node]];
    for (const layers of parts) {
      const fused = fuse(up, node, layers[0]);
      if (worthFusing(problemOf(fused), layers.map(problemOf))) return fused;
    }
    return node;
  });
}

/** A linear layer, or a convolution that is one. */
function isProduct(node: Node): node is Layer {
  if (!isLayer(node)) return false;
  if (node.op.type === 'linear') return true;
  const { groups, kernelHeight, kernelWidth, stride, padding } = node.op;
  const padded = Object.values(padding).some((side) => side > 0);
  return groups === 1 && kernelHeight === 1 && kernelWidth === 1 && stride === 1 && !padded;
}

/** Whether a layer does no more than add its bias and apply an activation. */
function onlyActivates({ op: { epilogue } }: Layer): boolean {
  return !epilogue.scale && !epilogue.residual && epilogue.finalActivation === 'none';
}

function isPlainNorm(node: Node): node is NodeOf<LayerNormOp> {
  return node.op.type === 'layer-norm' && !node.op.affine;
}

function fuse(up: Layer, down: Layer, first: Node | undefined): Node {
  const norm = first !== undefined && isPlainNorm(first) ? first : undefined;
  const { bias: hiddenBias, activation } = up.op.epilogue;
  const op: FfnOp = {
    type: 'ffn',
    hidden: up.op.outputs,
    outputs: down.op.outputs,
    ...(norm && { norm: { epsilon: norm.op.epsilon } }),
    hiddenBias,
    activation,
    epilogue: down.op.epilogue,
  };
  const { weight: _, ...vectors } = down.parameters;
  const parameters: Record<string, Parameter> = {
    ...vectors,
    up: parameterOf(up, 'weight'),
    ...(hiddenBias && { up_bias: parameterOf(up, 'bias') }),
    down: parameterOf(down, 'weight'),
  };
  return makeNode(down.name, op, [firstInput(norm ?? up), ...down.inputs.slice(1)], parameters);
}

/** The layers that an `ffn` stands for: a layer norm, if any, then two products, each reading the one before. */
export function layersOfFfn(node: NodeOf<FfnOp>): readonly Node[] {
  const { hidden, outputs, norm, hiddenBias, activation, epilogue } = node.op;
  const { up, up_bias: bias, down, ...vectors } = node.parameters;
  const x = firstInput(node);
  const normOp = { type: 'layer-norm', affine: false } as const;
  const normed = norm ? makeNode(node.name, { ...normOp, ...norm }, [x]) : undefined;
  const between = { ...NO_EPILOGUE, bias: hiddenBias, activation };
  const first = makeNode(node.name, productOp(up, hidden, between), [normed ?? x], {
    ...(up && { weight: up }),
    ...(bias && { bias }),
  });
  const inputs = [first, ...node.inputs.slice(1)];
  const second = makeNode(node.name, productOp(down, outputs, epilogue), inputs, {
    ...vectors,
    ...(down && { weight: down }),
  });
  return normed ? [normed, first, second] : [first, second];
}

/** The layer whose weights have this shape: [outputs, inputs], or [outputs, inputs, 1, 1]. */
function productOp(weight: Parameter | undefined, outputs: number, epilogue: Epilogue): LinearOp | ConvOp {
  if (weight?.shape.length !== 4) return { type: 'linear', outputs, epilogue };
  const padding = { top: 0, bottom: 0, left: 0, right: 0 };
  const window = { groups: 1, kernelHeight: 1, kernelWidth: 1, stride: 1, dilation: 1, padding };
  return { type: 'conv', outputs, ...window, epilogue };
}
