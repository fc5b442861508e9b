import { NO_EPILOGUE, samePadding } from '../../kernels/problem.ts';
import type { Problem } from '../../kernels/problem.ts';
import { makeNode } from '../builder.ts';
import { rewriteGraph, usersOf } from '../graph.ts';
import type { Graph, Node, Parameter } from '../graph.ts';
import { lower } from '../lower.ts';
import type { ConvFirstOp, ConvOp, FfnOp, LayerNormOp } from '../op.ts';
import { splitChain } from './chain-blocks.ts';
import {
  firstInput,
  isAffine,
  isProduct,
  onlyActivates,
  ownInput,
  parameterOf,
  productOp,
} from './patterns.ts';
import type { Layer, NodeOf, Users } from './patterns.ts';
import { splitMBConv } from './split-mbconv.ts';

export interface FuseBlocksOptions {
  /**
   * Whether one kernel is to compute a block, instead of one for each of its layers, in their order. Default of
   * `optimize`: never.
   */
  readonly worthFusing: (fused: Problem, layers: readonly Problem[]) => boolean;
  /** Floats from pixel to pixel for so many channels, in the problems that `worthFusing` sees. Default: no padding. */
  readonly pitch?: (channels: number) => number;
}

/**
 * Makes one `ffn` of two linear layers (or 1×1 convolutions) with an activation between them, and of the layer norm
 * without weights before them. What nobody else reads of their results never reaches memory then. Comes late, once norms
 * and residuals are where layers can take them.
 */
export function fuseBlocks(graph: Graph, options: FuseBlocksOptions): Graph {
  return fuseProducts(graph, options, (_, up, down, before) => [
    ...(before && isPlainNorm(before) ? [[ffnOf(up, down, before), [before, up, down]] as const] : []),
    [ffnOf(up, down), [up, down]],
  ]);
}

/** The same with a grouped convolution before the layers, or one beside its input, blurred: one `convfirst`. */
export function fuseConvFirst(graph: Graph, options: FuseBlocksOptions): Graph {
  return fuseProducts(graph, options, (users, up, down, before, originalBefore) => {
    const spatial = before && spatialPart(users, before, originalBefore);
    return spatial ? [[convFirstOf(spatial, up, down), [...spatial.layers, up, down]]] : [];
  });
}

/** A block, and the layers that it stands for. */
type Offer = readonly [Node, readonly Node[]];

/** Replaces two products, and what is before them, by the first of the offered blocks that is worth it. */
function fuseProducts(
  graph: Graph,
  { worthFusing, pitch = (channels) => channels }: FuseBlocksOptions,
  offers: (users: Users, up: Layer, down: Layer, before?: Node, originalBefore?: Node) => readonly Offer[],
): Graph {
  const users = usersOf(graph);
  const problemOf = (node: Node): Problem => lower(node, pitch).problem;
  return rewriteGraph(graph, (node, original) => {
    const up = ownInput(users, node, original);
    if (!isProduct(node) || up === undefined || !isProduct(up) || !onlyActivates(up)) return node;
    const [originalUp] = original.inputs;
    const before = originalUp && ownInput(users, up, originalUp);
    const block = offers(users, up, node, before, originalUp?.inputs[0]).find(([fused, layers]) =>
      worthFusing(problemOf(fused), layers.map(problemOf)),
    );
    return block?.[0] ?? node;
  });
}

function isPlainNorm(node: Node): node is NodeOf<LayerNormOp> {
  return node.op.type === 'layer-norm' && !node.op.affine;
}

/** A grouped convolution that keeps the size of the map and does no more than add its bias. */
function isSpatial(node: Node): node is NodeOf<ConvOp> {
  if (node.op.type !== 'conv' || !isAffine(node.op.epilogue)) return false;
  const { groups, outputs, kernelHeight, kernelWidth, stride, dilation, padding } = node.op;
  const channels = node.inputs[0]?.shape[3];
  const same = samePadding(kernelHeight, kernelWidth);
  const keepsSize =
    kernelHeight % 2 === 1 &&
    kernelWidth % 2 === 1 &&
    stride === 1 &&
    dilation === 1 &&
    padding.top === same.top &&
    padding.bottom === same.bottom &&
    padding.left === same.left &&
    padding.right === same.right;
  return keepsSize && outputs === channels && groups > 1 && groups < outputs;
}

/** What comes before the products of a ConvFirst block. */
interface SpatialPart {
  readonly conv: NodeOf<ConvOp>;
  readonly stride: number;
  readonly layers: readonly Node[];
}

/** A grouped convolution, or one whose result lies beside its input, both blurred and subsampled; else undefined. */
function spatialPart(users: Users, node: Node, original: Node | undefined): SpatialPart | undefined {
  if (isSpatial(node)) return { conv: node, stride: 1, layers: [node] };
  const originalJoined = original?.inputs[0];
  const joined = original && ownInput(users, node, original);
  if (node.op.type !== 'blur-pool' || joined?.op.type !== 'concat') return undefined;
  // A block of stride 1 blurs nothing.
  if (node.op.stride === 1) return undefined;
  const conv = originalJoined && ownInput(users, joined, originalJoined);
  const isBesideInput = joined.inputs.length === 2 && joined.inputs[1] === conv?.inputs[0];
  if (conv === undefined || !isSpatial(conv) || !isBesideInput) return undefined;
  return { conv, stride: node.op.stride, layers: [conv, joined, node] };
}

function ffnOf(up: Layer, down: Layer, norm?: NodeOf<LayerNormOp>): Node {
  const op: FfnOp = {
    type: 'ffn',
    ...productsOf(up, down),
    ...(norm && { norm: { epsilon: norm.op.epsilon } }),
  };
  const inputs = [firstInput(norm ?? up), ...down.inputs.slice(1)];
  return makeNode(down.name, op, inputs, productParameters(up, down));
}

function convFirstOf({ conv: spatial, stride }: SpatialPart, up: Layer, down: Layer): Node {
  const { groups, kernelHeight, kernelWidth, epilogue } = spatial.op;
  const op: ConvFirstOp = {
    type: 'convfirst',
    groups,
    kernelHeight,
    kernelWidth,
    stride,
    spatialBias: epilogue.bias,
    ...productsOf(up, down),
  };
  const inputs = [firstInput(spatial), ...down.inputs.slice(1)];
  return makeNode(down.name, op, inputs, {
    spatial: parameterOf(spatial, 'weight'),
    ...(epilogue.bias && { spatial_bias: parameterOf(spatial, 'bias') }),
    ...productParameters(up, down),
  });
}

function productsOf(up: Layer, down: Layer): Omit<FfnOp, 'type' | 'norm'> {
  const { bias: hiddenBias, activation } = up.op.epilogue;
  return {
    hidden: up.op.outputs,
    outputs: down.op.outputs,
    hiddenBias,
    activation,
    epilogue: down.op.epilogue,
  };
}

function productParameters(up: Layer, down: Layer): Readonly<Record<string, Parameter>> {
  const { weight: _, ...vectors } = down.parameters;
  return {
    ...vectors,
    up: parameterOf(up, 'weight'),
    ...(up.op.epilogue.bias && { up_bias: parameterOf(up, 'bias') }),
    down: parameterOf(down, 'weight'),
  };
}

/**
 * The layers that a block stands for: a norm or a grouped convolution, if any (and what subsamples), then two products; the
 * last one, that is, with the others as inputs.
 */
function splitBlock(node: NodeOf<FfnOp | ConvFirstOp>): Node {
  const { hidden, outputs, hiddenBias, activation, epilogue } = node.op;
  const { spatial: _, spatial_bias: __, up: ___, up_bias: bias, down: ____, ...vectors } = node.parameters;
  const up = parameterOf(node, 'up');
  const down = parameterOf(node, 'down');
  const between = { ...NO_EPILOGUE, bias: hiddenBias, activation };
  const first = makeNode(node.name, productOp(up, hidden, between), [beforeProducts(node)], {
    weight: up,
    ...(bias && { bias }),
  });
  const inputs = [first, ...node.inputs.slice(1)];
  return makeNode(node.name, productOp(down, outputs, epilogue), inputs, { ...vectors, weight: down });
}

/** The same network with every fused block as the layers that it stands for: what other runtimes understand. */
export function splitBlocks(graph: Graph): Graph {
  return rewriteGraph(graph, (node) => {
    const { op } = node;
    if (op.type === 'mbconv') return splitMBConv({ ...node, op });
    if (op.type === 'convfirst-chain') return splitChain({ ...node, op }, splitBlock);
    return op.type === 'ffn' || op.type === 'convfirst' ? splitBlock({ ...node, op }) : node;
  });
}

/** What the first product of a block reads: the block's input, behind its norm or its convolution. */
function beforeProducts(node: NodeOf<FfnOp | ConvFirstOp>): Node {
  const x = firstInput(node);
  const { name } = node;
  if (node.op.type === 'ffn') {
    const { norm } = node.op;
    return norm ? makeNode(name, { type: 'layer-norm', affine: false, ...norm }, [x]) : x;
  }
  const { groups, kernelHeight, kernelWidth, stride, spatialBias } = node.op;
  const window = { kernelHeight, kernelWidth, stride: 1, dilation: 1 };
  const padding = samePadding(kernelHeight, kernelWidth);
  const epilogue = { ...NO_EPILOGUE, bias: spatialBias };
  const spatial = makeNode(
    name,
    { type: 'conv', outputs: x.shape[3], groups, ...window, padding, epilogue },
    [x],
    {
      weight: parameterOf(node, 'spatial'),
      ...(spatialBias && { bias: parameterOf(node, 'spatial_bias') }),
    },
  );
  if (stride === 1) return spatial;
  const joined = makeNode(name, { type: 'concat' }, [spatial, x]);
  return makeNode(name, { type: 'blur-pool', stride }, [joined]);
}
