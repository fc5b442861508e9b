import type { Activation, ElementwiseStep } from '../../kernels/problem.ts';
import { rewriteGraph, usersOf } from '../graph.ts';
import type { Graph, Node } from '../graph.ts';
import { firstInput, isBatchNorm, isElementwise, isLayer, isUsedOnce, ownInput } from './patterns.ts';
import { parameterOf, withEpilogue } from './patterns.ts';
import type { Layer } from './patterns.ts';
import { leadingSum, sumNode } from './sums.ts';

/**
 * Takes activations, layer scales and residual sums into the epilogue of the layer before them,
 * `y = finalActivation(scale · activation(accumulator + bias) + residual)`, where the result is in registers; and
 * activations into the batch norm before them.
 */
export function fuseEpilogues(graph: Graph): Graph {
  const users = usersOf(graph);
  return rewriteGraph(graph, (node, original) => {
    if (node.op.type === 'layer-scale') {
      const input = ownInput(users, node, original);
      return (input && withScale(input, node)) ?? node;
    }
    if (!isElementwise(node)) return node;
    const terms = node.inputs.map((input, i): Term => {
      const before = original.inputs[i] ?? input;
      return { node: input, isFree: isUsedOnce(users, before) };
    });
    return fuseChain(node.name, node.op.steps, terms) ?? node;
  });
}

/** An input of a chain. */
interface Term {
  readonly node: Node;
  /** Whether only this chain reads it, so that it may change. */
  readonly isFree: boolean;
}

/** The chain with as many of its first steps as possible taken into its inputs; undefined if none can be. */
function fuseChain(
  name: string,
  steps: readonly ElementwiseStep[],
  inputs: readonly Term[],
): Node | undefined {
  const [value] = inputs;
  const [step, ...rest] = steps;
  if (value === undefined) return undefined;
  // The place of an empty chain may be taken by its input only if nothing else reads that.
  if (step === undefined) return value.isFree ? value.node : undefined;
  if (step.kind === 'activation') {
    const node = value.isFree ? withActivation(value.node, step.activation) : undefined;
    if (node === undefined) return undefined;
    return continued(name, rest, [{ ...value, node }, ...inputs.slice(1)]);
  }
  if (step.kind !== 'add') return undefined;
  const sum = leadingSum(steps, inputs);
  const terms = fuseTerms(sum.terms);
  return (
    terms && continued(name, [...terms.slice(1).map(() => step), ...sum.rest], [...terms, ...sum.operands])
  );
}

function continued(name: string, steps: readonly ElementwiseStep[], inputs: readonly Term[]): Node {
  const nodes = inputs.map(({ node }) => node);
  return fuseChain(name, steps, inputs) ?? sumNode(name, leadingSum(steps, nodes));
}

/**
 * Terms of a sum, fewer by those that became residuals; undefined if none could. One layer after the other takes the
 * sum so far as its residual, and the last one, which also runs last, takes what follows the sum. None of the terms
 * needs the output of such a layer, since nothing else reads it.
 */
function fuseTerms(terms: readonly Term[]): Term[] | undefined {
  const layers = terms.filter((term) => term.isFree && canTakeResidual(term.node));
  const [start, ...others] = terms.filter((term) => !layers.includes(term));
  const [first, ...rest] = start === undefined ? layers : [start, ...layers];
  if (first === undefined || rest.length === 0) return undefined;
  const total = rest.reduce((sum, term) => ({ ...term, node: withResidual(term.node, sum.node) }), first);
  return [total, ...others];
}

function withActivation(node: Node, activation: Activation): Node | undefined {
  if (activation === 'none') return node;
  if (isBatchNorm(node) && node.op.activation === 'none') return { ...node, op: { ...node.op, activation } };
  if (!isLayer(node)) return undefined;
  const { epilogue } = node.op;
  if (epilogue.finalActivation !== 'none') return undefined;
  const isFirst = epilogue.activation === 'none' && !epilogue.scale && !epilogue.residual;
  return withEpilogue(node, isFirst ? { activation } : { finalActivation: activation });
}

function withScale(node: Node, scale: Node): Node | undefined {
  if (!isLayer(node)) return undefined;
  const { epilogue } = node.op;
  if (epilogue.scale || epilogue.residual || epilogue.finalActivation !== 'none') return undefined;
  const parameters = { ...node.parameters, scale: parameterOf(scale, 'gamma') };
  return { ...withEpilogue(node, { scale: true }), parameters };
}

function canTakeResidual(node: Node): node is Layer {
  return isLayer(node) && !node.op.epilogue.residual && node.op.epilogue.finalActivation === 'none';
}

function withResidual(node: Node, residual: Node): Node {
  if (!canTakeResidual(node)) return node;
  return { ...withEpilogue(node, { residual: true }), inputs: [firstInput(node), residual] };
}
