import type { Activation, Problem } from '../../kernels/problem.ts';
import { makeNode } from '../builder.ts';
import { rewriteGraph, usersOf } from '../graph.ts';
import type { Graph, Node, Parameter } from '../graph.ts';
import { lower } from '../lower.ts';
import type { ConvOp, MBConvOp } from '../op.ts';
import type { FuseBlocksOptions } from './fuse-blocks.ts';
import { firstInput, isLayer, isProduct, isUsedOnce, onlyActivates, parameterOf } from './patterns.ts';
import type { Layer, NodeOf, Users } from './patterns.ts';

/**
 * Makes one `mbconv` of an MBConv block: 1×1 convolution to more channels (if any), depthwise or grouped convolution,
 * squeeze-and-excitation (if any) and the 1×1 convolution behind it, where nobody else reads what is between them.
 */
export function fuseMBConv(
  graph: Graph,
  { worthFusing, pitch = (channels) => channels }: FuseBlocksOptions,
): Graph {
  const users = usersOf(graph);
  const problemOf = (node: Node): Problem => lower(node, pitch).problem;
  return rewriteGraph(graph, (node, original) => {
    const block = matchBlock(users, { now: node, was: original });
    if (block === undefined) return node;
    const fused = fuse(block);
    return worthFusing(problemOf(fused), layersOf(block).map(problemOf)) ? fused : node;
  });
}

interface Block {
  readonly expand: Layer | undefined;
  readonly spatial: NodeOf<ConvOp>;
  readonly gate: Gate | undefined;
  readonly project: Layer;
}

/** Squeeze-and-excitation: its pooling, its two layers, and the product of map and gate. */
interface Gate {
  readonly pool: Node;
  readonly squeeze: Layer;
  readonly excite: Layer;
  readonly scale: Node;
}

/** A node as it is now, and as it was before its inputs were replaced, which is how `users` knows it. */
interface Step {
  readonly now: Node;
  readonly was: Node;
}

function inputOf({ now, was }: Step, index = 0): Step | undefined {
  const [before, after] = [was.inputs[index], now.inputs[index]];
  return before && after && { now: after, was: before };
}

/** The block that a projection is the end of. */
function matchBlock(users: Users, end: Step): Block | undefined {
  const project = end.now;
  const hidden = inputOf(end);
  if (!isProduct(project) || !isLinear(project) || !hidden || !isUsedOnce(users, hidden.was))
    return undefined;
  const gated = matchGate(users, hidden);
  const map = gated ? gated.map : hidden;
  const spatial = map.now;
  if (!isSpatial(spatial)) return undefined;
  const before = inputOf(map);
  const expand = before?.now;
  const expands =
    before && expand && isUsedOnce(users, before.was) && isProduct(expand) && onlyActivates(expand);
  // A convolution and the product behind it have only one map between them: as one kernel they are no quicker.
  if (!expands && !gated) return undefined;
  return { expand: expands ? expand : undefined, spatial, gate: gated?.gate, project };
}

function matchGate(users: Users, scale: Step): { readonly map: Step; readonly gate: Gate } | undefined {
  if (scale.now.op.type !== 'channel-scale') return undefined;
  const map = inputOf(scale);
  const excite = inputOf(scale, 1);
  const squeeze = excite && inputOf(excite);
  const pool = squeeze && inputOf(squeeze);
  if (!map || !excite || !squeeze || !pool || pool.now.op.type !== 'global-pool') return undefined;
  if (![excite, squeeze, pool].every(({ was }) => isUsedOnce(users, was))) return undefined;
  if (pool.was.inputs[0] !== map.was || users.get(map.was)?.length !== 2) return undefined;
  const layers = [squeeze.now, excite.now];
  if (!layers.every((layer) => isProduct(layer) && onlyActivates(layer) && layer.op.epilogue.bias))
    return undefined;
  const [first, second] = layers;
  if (!first || !second || !isLayer(first) || !isLayer(second)) return undefined;
  if (second.op.epilogue.activation !== 'sigmoid') return undefined;
  return { map, gate: { pool: pool.now, squeeze: first, excite: second, scale: scale.now } };
}

/** Whether nothing follows the layer's sums but scale and residual: other blocks' first products have activations. */
function isLinear({ op: { epilogue } }: Layer): boolean {
  return epilogue.activation === 'none' && epilogue.finalActivation === 'none';
}

/** Kernels beyond this are for other algorithms than sums over taps. */
const MAX_KERNEL = 7;

/** A depthwise or grouped convolution of as many channels as it reads. */
function isSpatial(node: Node): node is NodeOf<ConvOp> {
  if (node.op.type !== 'conv') return false;
  const { groups, outputs, dilation, kernelHeight, kernelWidth } = node.op;
  const fits = dilation === 1 && Math.max(kernelHeight, kernelWidth) <= MAX_KERNEL;
  return (
    fits && groups > 1 && outputs === node.inputs[0]?.shape[3] && onlyActivates({ ...node, op: node.op })
  );
}

function layersOf({ expand, spatial, gate, project }: Block): Node[] {
  const gateNodes = gate ? [gate.pool, gate.squeeze, gate.excite, gate.scale] : [];
  return [...(expand ? [expand] : []), spatial, ...gateNodes, project];
}

function fuse({ expand, spatial, gate, project }: Block): Node {
  const { groups, kernelHeight, kernelWidth, stride, padding, outputs: hidden } = spatial.op;
  const op: MBConvOp = {
    type: 'mbconv',
    hidden,
    outputs: project.op.outputs,
    groups,
    kernelHeight,
    kernelWidth,
    stride,
    padding,
    ...(expand && { expand: biasAndActivation(expand) }),
    spatial: biasAndActivation(spatial),
    ...(gate && {
      squeeze: { channels: gate.squeeze.op.outputs, activation: gate.squeeze.op.epilogue.activation },
    }),
    epilogue: project.op.epilogue,
  };
  const { weight: _, ...vectors } = project.parameters;
  return makeNode(project.name, op, [firstInput(expand ?? spatial), ...project.inputs.slice(1)], {
    ...vectors,
    ...(expand && parametersNamed('expand', expand)),
    ...parametersNamed('spatial', spatial),
    ...(gate && parametersNamed('squeeze', gate.squeeze)),
    ...(gate && parametersNamed('excite', gate.excite)),
    project: parameterOf(project, 'weight'),
  });
}

function biasAndActivation({ op: { epilogue } }: Layer): { bias: boolean; activation: Activation } {
  return { bias: epilogue.bias, activation: epilogue.activation };
}

function parametersNamed(name: string, layer: Layer): Record<string, Parameter> {
  return {
    [name]: parameterOf(layer, 'weight'),
    ...(layer.op.epilogue.bias && { [`${name}_bias`]: parameterOf(layer, 'bias') }),
  };
}
