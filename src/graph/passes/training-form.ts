import { invalidArgument } from '../../core/errors.ts';
import { makeNode } from '../builder.ts';
import { elements, nodesOf, rewriteGraph, selectOutputs } from '../graph.ts';
import type { Graph, Node, Parameter, Shape } from '../graph.ts';
import type { BatchNormOp } from '../op.ts';
import { splitBlocks } from './fuse-blocks.ts';
import { firstInput, isBatchNorm, isElementwise, isLayer, parameterOf } from './patterns.ts';
import type { NodeOf } from './patterns.ts';
import { splitEpilogues } from './split-epilogues.ts';
import { leadingSum } from './sums.ts';

export interface TrainingFormOptions {
  /**
   * Rate at which stochastic depth (Huang et al. 2016) drops the last residual branch; those before it have rates that
   * rise from 0 in equal steps. Default: 0, none.
   */
  readonly dropPath?: number;
  /** Successive branches that share a rate: 2 in RepLKNet, whose authors count pairs of blocks. Default: 1. */
  readonly branchesPerRate?: number;
  /** Rate at which dropout drops what the classifier reads. Default: 0, none. */
  readonly dropout?: number;
  /** Whether batch norms take the statistics of the batch, not the running ones. Default: true. */
  readonly batchStatistics?: boolean;
}

/** An input that says what is kept: each of its values is 0 with probability `rate`, else 1 / (1 − rate). */
export interface KeepInput {
  readonly input: string;
  readonly rate: number;
  /** [N, 1, 1, 1] for stochastic depth, [N, 1, 1, C] for dropout. */
  readonly shape: Shape;
}

/** Statistics of a batch norm that a run computes, for the running ones. */
export interface NormStatistics {
  /** The norm's official name. */
  readonly name: string;
  /** [1, 1, 2, C]: mean, and biased variance. */
  readonly output: string;
  readonly runningMean: Parameter;
  readonly runningVariance: Parameter;
  /** Values of each channel that they are of: the unbiased variance is rows / (rows − 1) times the biased one. */
  readonly rows: number;
}

/** A network as it is trained. Its inputs beside the graph's: `target`, of the logits' shape, and those of `keeps`. */
export interface TrainingGraph {
  /** Outputs `loss` [N, 1, 1, 1], `logits` [N, 1, 1, classes], and those of `statistics`. */
  readonly graph: Graph;
  readonly keeps: readonly KeepInput[];
  readonly statistics: readonly NormStatistics[];
}

/**
 * A model's graph as it is trained: with a loss, batch norms by the statistics of the batch, stochastic depth on
 * residual branches, and dropout before the classifier. `differentiate` adds gradients to it.
 *
 * A residual branch is one term of a sum of two, of which the other is what the branch was computed from. Throws
 * `invalid-argument` for graphs without an output `logits`, and for rates outside of [0, 1).
 */
export function trainingForm(graph: Graph, options: TrainingFormOptions = {}): TrainingGraph {
  const { dropPath = 0, dropout = 0, branchesPerRate = 1, batchStatistics = true } = options;
  checkRate('dropPath', dropPath);
  checkRate('dropout', dropout);
  const whole = splitEpilogues(splitBlocks(graph));
  const logits = whole.outputs.get('logits');
  if (logits === undefined)
    throw invalidArgument(`${graph.name} cannot be trained: it has no output logits.`);
  const plain = selectOutputs(whole, ['logits']);

  const branches = residualBranches(plain);
  const rates = linearRates(branches.size, dropPath, branchesPerRate);
  const keeps: KeepInput[] = [];
  const keep = (input: string, shape: Shape, rate: number): Node => {
    keeps.push({ input, rate, shape });
    return inputNode(input, shape);
  };
  const numbers = new Map([...branches.keys()].map((sum, i) => [sum, i]));
  const statistics = new Map<string, { readonly norm: NormStatistics; readonly node: Node }>();
  const rewritten = rewriteGraph(plain, (node, original) => {
    if (batchStatistics && isBatchNorm(node)) return normalizedByBatch(node, statistics);
    const branch = branches.get(original);
    const rate = rates[numbers.get(original) ?? -1] ?? 0;
    if (branch !== undefined && rate > 0) {
      const scale = keep(`keep.${branch.name}`, [node.shape[0], 1, 1, 1], rate);
      return withInput(node, branch.index, (x) =>
        makeNode(`${branch.name}.drop_path`, { type: 'sample-scale' }, [x, scale]),
      );
    }
    if (original !== logits || dropout === 0 || !isLayer(node)) return node;
    const mask = keep('keep.dropout', firstInput(node).shape, dropout);
    const op = { type: 'elementwise', steps: [{ kind: 'mul' }] } as const;
    return withInput(node, 0, (x) => makeNode('dropout', op, [x, mask]));
  });

  const output = rewritten.outputs.get('logits') ?? logits;
  const target = inputNode('target', output.shape);
  const outputs = new Map([
    ['loss', makeNode('loss', { type: 'cross-entropy' }, [output, target])],
    ['logits', output],
    ...[...statistics.values()].map(({ norm, node }) => [norm.output, node] as const),
  ]);
  return {
    graph: { ...rewritten, outputs },
    keeps,
    statistics: [...statistics.values()].map(({ norm }) => norm),
  };
}

function normalizedByBatch(
  node: NodeOf<BatchNormOp>,
  statistics: Map<string, { readonly norm: NormStatistics; readonly node: Node }>,
): Node {
  const x = firstInput(node);
  const weight = parameterOf(node, 'weight');
  // Names of nodes need not be unique, keys of parameters are.
  const name = weight.key.replace(/\.weight$/, '');
  const ofBatch = makeNode(name, { type: 'batch-statistics' }, [x]);
  const norm = {
    name,
    output: `statistics.${name}`,
    runningMean: parameterOf(node, 'running_mean'),
    runningVariance: parameterOf(node, 'running_var'),
    rows: elements(x.shape.slice(0, 3)),
  };
  statistics.set(name, { norm, node: ofBatch });
  const op = { type: 'batch-normalize', epsilon: node.op.epsilon } as const;
  return makeNode(node.name, op, [x, ofBatch], { weight, bias: parameterOf(node, 'bias') });
}

/** Which input of a sum is a residual branch, and the branch's name. */
interface Branch {
  readonly index: number;
  readonly name: string;
}

/** The sums that close residual blocks, in order. */
function residualBranches(graph: Graph): ReadonlyMap<Node, Branch> {
  const branches = new Map<Node, Branch>();
  const names = new Set<string>();
  for (const node of nodesOf(graph)) {
    if (!isElementwise(node)) continue;
    const [a, b, ...more] = leadingSum(node.op.steps, node.inputs).terms;
    if (a === undefined || b === undefined || more.length > 0 || a === b) continue;
    const between = nodesBetween(a, b) ?? nodesBetween(b, a);
    if (between === undefined) continue;
    const index = between.has(b) ? 1 : 0;
    const name = uniqueName(blockName(between) ?? node.name, names);
    names.add(name);
    branches.set(node, { index, name });
  }
  return branches;
}

/** The nodes from `start`, left out, to `end`; undefined if `end` is not computed from `start`. */
function nodesBetween(start: Node, end: Node): ReadonlySet<Node> | undefined {
  const seen = new Set<Node>([end]);
  let found = false;
  for (const node of seen) {
    for (const input of node.inputs) {
      if (input === start) found = true;
      else seen.add(input);
    }
  }
  if (!found) return undefined;
  // What comes before the start was seen as well if the branch reads other nodes; it is no part of the block.
  const before = new Set<Node>([start]);
  for (const node of before) node.inputs.forEach((input) => before.add(input));
  return new Set([...seen].filter((node) => !before.has(node)));
}

/** The module that holds all parameters of a block. */
function blockName(nodes: ReadonlySet<Node>): string | undefined {
  const paths = [...nodes].flatMap((node) =>
    Object.values(node.parameters).map(({ key }) => key.split('.').slice(0, -1)),
  );
  const [first, ...others] = paths;
  if (first === undefined) return undefined;
  const end = first.findIndex((part, i) => others.some((path) => path[i] !== part));
  const common = first.slice(0, end < 0 ? first.length : end);
  return common.length > 0 ? common.join('.') : undefined;
}

function uniqueName(name: string, names: ReadonlySet<string>): string {
  const candidates = [name, ...Array.from(names, (_, i) => `${name}_${i + 2}`)];
  return candidates.find((candidate) => !names.has(candidate)) ?? name;
}

/** Rates from 0 to `last` in equal steps, as PyTorch's `linspace`. */
function linearRates(count: number, last: number, perRate: number): readonly number[] {
  const steps = Math.ceil(count / perRate) - 1;
  return Array.from({ length: count }, (_, i) => (steps > 0 ? (last * Math.floor(i / perRate)) / steps : 0));
}

function withInput(node: Node, index: number, change: (input: Node) => Node): Node {
  return { ...node, inputs: node.inputs.map((input, i) => (i === index ? change(input) : input)) };
}

function inputNode(name: string, shape: Shape): Node {
  return { name, op: { type: 'input' }, inputs: [], parameters: {}, shape };
}

function checkRate(what: string, rate: number): void {
  if (!(rate >= 0 && rate < 1)) throw invalidArgument(`The ${what} must be in [0, 1), got ${rate}.`);
}
