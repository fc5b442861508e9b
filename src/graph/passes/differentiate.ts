import { invalidArgument } from '../../core/errors.ts';
import { makeNode } from '../builder.ts';
import { nodesOf } from '../graph.ts';
import type { Graph, Node, Parameter } from '../graph.ts';
import type { GradientContext } from '../op.ts';
import { definitionOf } from '../ops/index.ts';
import { splitBlocks } from './fuse-blocks.ts';
import { splitEpilogues } from './split-epilogues.ts';

export interface DifferentiateOptions {
  /** Names of the outputs whose gradients are wanted: a loss. */
  readonly outputs: readonly string[];
  /** Whether a parameter's gradient is wanted; buffers have none. Default: of all. */
  readonly parameters?: (parameter: Parameter) => boolean;
  /** Whether the gradient to the graph's input is wanted. Default: false. */
  readonly input?: boolean;
}

/**
 * Adds gradients by reverse-mode differentiation (Linnainmaa 1970): each node, last first, gives the gradients to what it
 * reads, and those to one node from all its users are summed.
 *
 * The graph gets an input `seed.<output>` of each output's shape, dL/doutput: for a loss [N, 1, 1, 1], 1/N gives the
 * gradient of its mean. New outputs are `gradient.<key>` [1, 1, 1, count], with values in the order of the parameter,
 * and `gradient.<name of the input>`. They are in the order in which backpropagation meets them, so that nodes computed
 * in order of use (`nodesOf`) live briefly. A parameter on which no output depends has no gradient.
 *
 * Fused blocks and epilogues are split first. Throws `invalid-argument` for outputs that do not exist, parameters that
 * passes derived from others, and operations that have no gradient.
 */
export function differentiate(graph: Graph, options: DifferentiateOptions): Graph {
  const split = splitEpilogues(splitBlocks(graph));
  const { parameters = () => true } = options;
  const wants = (parameter: Parameter | undefined): boolean =>
    parameter !== undefined && !parameter.buffer && parameters(parameter);
  const order = nodesOf(split);
  const active = activeNodes(split, order, wants, options.input === true);
  const gradients = new Accumulator<Node>();
  const ofParameters = new Accumulator<string>();
  for (const name of options.outputs) seedOutput(split, name, gradients);

  for (const node of order.reverse()) {
    const dy = active.has(node) ? gradients.sum(node, `${node.name}.gradient`) : undefined;
    if (dy === undefined || node.op.type === 'input') continue;
    const g: GradientContext = {
      wantsInput: (index) => node.inputs.some((input, i) => i === index && active.has(input)),
      wantsParameter: (name) => wants(node.parameters[name]),
      make: (op, inputs, own) => makeNode(`${node.name}.gradient`, op, inputs, own),
    };
    const back = definitionOf(node.op).gradient?.(node, dy, g);
    if (back === undefined) {
      throw invalidArgument(`${node.name} cannot be trained: a ${node.op.type} has no gradient here.`);
    }
    node.inputs.forEach((input, i) => {
      const gradient = back.inputs[i];
      if (gradient !== undefined && active.has(input)) gradients.add(input, gradient);
    });
    for (const [name, gradient] of Object.entries(back.parameters)) {
      const parameter = node.parameters[name];
      if (parameter !== undefined) ofParameters.add(checked(parameter).key, gradient);
    }
  }

  const outputs = new Map(split.outputs);
  for (const key of ofParameters.keys()) addGradient(outputs, key, (name) => ofParameters.sum(key, name));
  if (options.input) addGradient(outputs, split.input.name, (name) => gradients.sum(split.input, name));
  if (outputs.size === split.outputs.size) {
    throw invalidArgument(
      `Nothing to train: the outputs ${options.outputs.join(', ')} of ${graph.name} depend on no parameter that is wanted.`,
    );
  }
  return { ...split, outputs };
}

/** Nodes whose values depend on what is wanted: gradients flow through no other. */
function activeNodes(
  graph: Graph,
  order: readonly Node[],
  wants: (parameter: Parameter | undefined) => boolean,
  input: boolean,
): ReadonlySet<Node> {
  const active = new Set<Node>(input ? [graph.input] : []);
  for (const node of order) {
    const isActive =
      node.inputs.some((from) => active.has(from)) || Object.values(node.parameters).some(wants);
    if (isActive) active.add(node);
  }
  return active;
}

function seedOutput(graph: Graph, name: string, gradients: Accumulator<Node>): void {
  const node = graph.outputs.get(name);
  if (node === undefined) {
    throw invalidArgument(
      `${graph.name} has no output ${name} to differentiate: use one of ${[...graph.outputs.keys()].join(', ')}.`,
    );
  }
  const seed: Node = {
    name: `seed.${name}`,
    op: { type: 'input' },
    inputs: [],
    parameters: {},
    shape: node.shape,
  };
  gradients.add(node, seed);
}

function checked(parameter: Parameter): Parameter {
  if (parameter.derivation === undefined) return parameter;
  throw invalidArgument(
    `The parameter ${parameter.key} follows from others and cannot be trained: differentiate the graph before passes fold weights.`,
  );
}

function addGradient(outputs: Map<string, Node>, of: string, sum: (name: string) => Node | undefined): void {
  const name = `gradient.${of}`;
  const node = sum(name);
  if (node !== undefined) outputs.set(name, node);
}

/** Terms of sums, by what they are the gradient to. */
class Accumulator<K> {
  readonly #terms = new Map<K, readonly Node[]>();

  add(key: K, term: Node): void {
    const terms = this.#terms.get(key) ?? [];
    // Behind all others, because a sum is complete only now.
    this.#terms.delete(key);
    this.#terms.set(key, [...terms, term]);
  }

  keys(): K[] {
    return [...this.#terms.keys()];
  }

  /** One node of all terms, the same one every time; `name` is for a new one. Undefined if there are none. */
  sum(key: K, name: string): Node | undefined {
    const [first, ...others] = this.#terms.get(key) ?? [];
    if (first === undefined || others.length === 0) return first;
    const steps = others.map(() => ({ kind: 'add' as const }));
    const sum = makeNode(name, { type: 'elementwise', steps }, [first, ...others]);
    this.#terms.set(key, [sum]);
    return sum;
  }
}
