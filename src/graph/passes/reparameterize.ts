import type { Problem } from '../../kernels/problem.ts';
import { nodesOf, parametersOf, rewriteGraph, usersOf } from '../graph.ts';
import type { Graph, Node } from '../graph.ts';
import { lower } from '../lower.ts';
import { batchNormAffine } from './channel-affine.ts';
import { foldAfter } from './fold.ts';
import { mergeKernels } from './merge-kernels.ts';
import type { Depthwise } from './merge-kernels.ts';
import {
  expectNoGradients,
  firstInput,
  isAffine,
  isBatchNorm,
  isDepthwise,
  isElementwise,
  isUsedOnce,
  ownInput,
  parameterOf,
  withEpilogue,
} from './patterns.ts';
import type { Users } from './patterns.ts';
import { isSum, leadingSum, sumNode } from './sums.ts';

export interface ReparameterizeOptions {
  /**
   * Whether one convolution is to replace several, whose problems are as they would run without: norms folded, each
   * but the first adding the result of the one before. Default: always.
   */
  readonly worthwhile?: (merged: Problem, branches: readonly Problem[]) => boolean;
  /** Floats from pixel to pixel for so many channels, in the problems that `worthwhile` sees. Default: no padding. */
  readonly pitch?: (channels: number) => number;
}

/**
 * Structural re-parameterization: parallel depthwise convolutions of one input, each with its batch norm, if any,
 * whose outputs are added, become one convolution with a bias. RepLKNet's K×K + 5×5 becomes K×K, SLaK's
 * 51×5 + 5×51 + 5×5 becomes 51×51. Parameters get the official keys `….lkb_reparam.weight` and `.bias`, so
 * {@link parametersOf} lists the state dict of the merged network.
 *
 * Convolutions one after the other are left alone, though they make one kernel in the plane: the first one's
 * output is cut off at the border of the map, and the second pads it with zeros there, where the merged kernel
 * would see what the first computes beyond the border.
 *
 * Throws `invalid-argument` for graphs that `differentiate` has made.
 */
export function reparameterize(graph: Graph, options: ReparameterizeOptions = {}): Graph {
  expectNoGradients('reparameterize', graph);
  return foldLoneKernels(mergeSums(graph, options));
}

function mergeSums(graph: Graph, options: ReparameterizeOptions): Graph {
  const users = usersOf(graph);
  const keys = new Set(parametersOf(graph).map(({ key }) => key));
  return rewriteGraph(graph, (node, original) => {
    if (!isElementwise(node) || isPartOfSum(users, original)) return node;
    const { terms, rest, operands } = leadingSum(node.op.steps, node.inputs);
    const expanded = terms.flatMap((term, i) =>
      termsOf(users, { node: term, original: original.inputs[i] ?? term }),
    );
    const groups = groupBranches(users, expanded);
    let merged = expanded.map((term) => term.node);
    for (const group of groups) {
      const conv = mergeBranches(group, keys, options);
      if (conv === undefined) continue;
      const [first, ...others] = group.terms;
      merged = merged.filter((term) => !others.includes(term)).map((term) => (term === first ? conv : term));
    }
    return merged.length < expanded.length ? sumNode(node.name, { terms: merged, rest, operands }) : node;
  });
}

/** A node of the new graph, and that of the old graph whose users tell whether it may change. */
interface Term {
  readonly node: Node;
  readonly original: Node;
}

/** The terms of a sum, with the terms of sums within it in their places. */
function termsOf(users: Users, { node, original }: Term): Term[] {
  if (!isSum(node) || !isSum(original) || !isUsedOnce(users, original)) return [{ node, original }];
  return node.inputs.flatMap((input, i) =>
    termsOf(users, { node: input, original: original.inputs[i] ?? input }),
  );
}

/** Whether a sum will be looked at as part of the sum that reads it. */
function isPartOfSum(users: Users, original: Node): boolean {
  const [user] = users.get(original) ?? [];
  if (!isSum(original) || !isUsedOnce(users, original) || user === undefined || !isElementwise(user))
    return false;
  return user.op.steps[0]?.kind === 'add' && leadingSum(user.op.steps, user.inputs).terms.includes(original);
}

/** Branches that may become one, beside the terms that they compute. */
interface Group {
  readonly terms: Node[];
  readonly branches: Depthwise[];
}

function groupBranches(users: Users, terms: readonly Term[]): Group[] {
  const groups: Group[] = [];
  for (const { node, original } of terms) {
    const branch = isUsedOnce(users, original) ? branchOf(users, node, original) : undefined;
    if (branch === undefined) continue;
    const fitting = groups.find(({ branches: [first] }) => {
      return first?.op.stride === branch.op.stride && firstInput(first) === firstInput(branch);
    });
    if (fitting === undefined) groups.push({ terms: [node], branches: [branch] });
    else {
      fitting.terms.push(node);
      fitting.branches.push(branch);
    }
  }
  return groups;
}

/** A depthwise convolution, or one with a batch norm behind it, as a convolution alone. */
function branchOf(users: Users, node: Node, original: Node): Depthwise | undefined {
  if (isDepthwise(node)) return isAffine(node.op.epilogue) ? node : undefined;
  const conv = ownInput(users, node, original);
  if (!isBatchNorm(node) || node.op.activation !== 'none' || conv === undefined) return undefined;
  if (!isDepthwise(conv) || !isAffine(conv.op.epilogue)) return undefined;
  const folded = foldAfter(conv, batchNormAffine(node));
  return isDepthwise(folded) ? folded : undefined;
}

function mergeBranches(
  { branches }: Group,
  keys: Set<string>,
  { worthwhile = () => true, pitch = (channels) => channels }: ReparameterizeOptions,
): Depthwise | undefined {
  const [first, second, ...others] = branches;
  if (first === undefined || second === undefined) return undefined;
  const name = mergedName(branches, keys);
  const merged = mergeKernels(name, [first, second, ...others]);
  const apart = branches.map((branch, i) =>
    i === 0 ? branch : { ...withEpilogue(branch, { residual: true }), inputs: [firstInput(branch), branch] },
  );
  const problemOf = (node: Node): Problem => lower(node, pitch).problem;
  if (!worthwhile(problemOf(merged), apart.map(problemOf))) return undefined;
  for (const { key } of Object.values(merged.parameters)) keys.add(key);
  return merged;
}

/** The official name, `lkb_reparam` in the module that holds the branches; with a number if a graph has several there. */
function mergedName(branches: readonly Depthwise[], keys: ReadonlySet<string>): string {
  const [first = [], ...others] = branches.map((branch) => parameterOf(branch, 'weight').key.split('.'));
  const end = first.findIndex((part, i) => others.some((path) => path[i] !== part));
  const name = [...first.slice(0, end < 0 ? first.length : end), 'lkb_reparam'].join('.');
  const names = [name, ...Array.from(keys, (_, i) => `${name}_${i + 2}`)];
  return names.find((candidate) => !keys.has(`${candidate}.weight`)) ?? name;
}

/**
 * RepLKNets without a small kernel (3, XL): the official merged form still turns `lkb_origin`, a convolution and its
 * batch norm, into `lkb_reparam`. Where a convolution runs beside it, the two were not worth merging.
 */
function foldLoneKernels(graph: Graph): Graph {
  const users = usersOf(graph);
  const readers = new Map<Node, number>();
  for (const node of nodesOf(graph).filter(isDepthwise)) {
    readers.set(firstInput(node), (readers.get(firstInput(node)) ?? 0) + 1);
  }
  return rewriteGraph(graph, (node, original) => {
    const conv = original.inputs[0];
    const name = conv && /^(.*\.)?lkb_origin\.conv\.weight$/.exec(conv.parameters['weight']?.key ?? '');
    if (!name || readers.get(firstInput(conv)) !== 1 || !isBatchNorm(node)) return node;
    const branch = branchOf(users, node, original);
    return branch === undefined ? node : mergeKernels(`${name[1] ?? ''}lkb_reparam`, [branch]);
  });
}
