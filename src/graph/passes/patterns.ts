import { invalidArgument } from '../../core/errors.ts';
import { samePadding } from '../../kernels/problem.ts';
import type { Epilogue } from '../../kernels/problem.ts';
import { nodesOf } from '../graph.ts';
import type { Graph, Node, Parameter, usersOf } from '../graph.ts';
import { isPointwise } from '../ops/conv.ts';
import type { BatchNormOp, ConvOp, ElementwiseOp, LinearOp, NodeOf } from '../op.ts';

export type { NodeOf } from '../op.ts';

/** What passes ask about nodes. */

export type Users = ReturnType<typeof usersOf>;

/** Throws `invalid-argument` for graphs with adjoint layers: passes that fold weights take them for plain ones. */
export function expectNoGradients(pass: string, graph: Graph): void {
  if (nodesOf(graph).some(({ op }) => 'adjoint' in op && op.adjoint)) {
    throw invalidArgument(
      `The graph ${graph.name} holds gradients: give ${pass} the one before differentiate.`,
    );
  }
}

/** A layer with weights and an epilogue. */
export type Layer = NodeOf<ConvOp | LinearOp>;

export function isLayer(node: Node): node is Layer {
  return node.op.type === 'conv' || node.op.type === 'linear';
}

export function isBatchNorm(node: Node): node is NodeOf<BatchNormOp> {
  return node.op.type === 'batch-norm';
}

export function isElementwise(node: Node): node is NodeOf<ElementwiseOp> {
  return node.op.type === 'elementwise';
}

export function isDepthwise(node: Node): node is NodeOf<ConvOp> {
  return (
    node.op.type === 'conv' &&
    node.op.groups === node.op.outputs &&
    node.op.groups === node.inputs[0]?.shape[3]
  );
}

/**
 * Whether only one node reads this node's output, once, and it is no output of the graph: whoever reads it may
 * then change what it computes.
 */
export function isUsedOnce(users: Users, node: Node): boolean {
  return users.get(node)?.length === 1;
}

/** The node's first input, as it is now, if no other node reads it; `original` is the node before inputs were replaced. */
export function ownInput(users: Users, node: Node, original: Node): Node | undefined {
  const [input] = original.inputs;
  return input !== undefined && isUsedOnce(users, input) ? node.inputs[0] : undefined;
}

/** Whether an epilogue does no more than add the bias, so that the layer is affine in its input. */
export function isAffine({ activation, scale, residual, finalActivation }: Epilogue): boolean {
  return activation === 'none' && !scale && !residual && finalActivation === 'none';
}

/** A linear layer, or a convolution that is one. */
export function isProduct(node: Node): node is Layer {
  return node.op.type === 'linear' || (node.op.type === 'conv' && isPointwise(node.op));
}

/** Whether a layer does no more than add its bias and apply an activation. */
export function onlyActivates({ op: { epilogue } }: Layer): boolean {
  return !epilogue.scale && !epilogue.residual && epilogue.finalActivation === 'none';
}

/** The layer whose weights have this shape: [outputs, inputs], or [outputs, inputs, 1, 1]. */
export function productOp(weight: Parameter, outputs: number, epilogue: Epilogue): LinearOp | ConvOp {
  if (weight.shape.length !== 4) return { type: 'linear', outputs, epilogue };
  const window = { groups: 1, kernelHeight: 1, kernelWidth: 1, stride: 1, dilation: 1 };
  return { type: 'conv', outputs, ...window, padding: samePadding(1, 1), epilogue };
}

/** A layer with parts of its epilogue changed. */
export function withEpilogue(layer: Layer, change: Partial<Epilogue>): Layer {
  return { ...layer, op: { ...layer.op, epilogue: { ...layer.op.epilogue, ...change } } };
}

/** The node's first input. Throws `invalid-argument` if it has none. */
export function firstInput(node: Node): Node {
  const [input] = node.inputs;
  if (input === undefined) throw invalidArgument(`${node.name} needs an input.`);
  return input;
}

/** A parameter of a node. Throws `invalid-argument`, naming the node, if it has none of this name. */
export function parameterOf(node: Node, name: string): Parameter {
  const parameter = node.parameters[name];
  if (parameter === undefined) throw invalidArgument(`${node.name} needs a parameter ${name}.`);
  return parameter;
}
