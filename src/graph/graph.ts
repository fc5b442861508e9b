import { invalidArgument } from '../core/errors.ts';
import type { Op } from './op.ts';

/** Sizes of an activation: [N, H, W, C]. */
export type Shape = readonly [batch: number, height: number, width: number, channels: number];

/**
 * One tensor of weights, in PyTorch's order and under its official state-dict key. Its values are not here:
 * they are read from a checkpoint when they are needed, or derived from other parameters.
 */
export interface Parameter {
  readonly key: string;
  /** PyTorch's shape; [] for a single number. */
  readonly shape: readonly number[];
  /** Running statistics: in the state dict, but not counted as a parameter. */
  readonly buffer: boolean;
  /** How its values follow from others; absent if a checkpoint holds them. */
  readonly derivation?: Derivation;
}

/** A pure function of other parameters, e.g. a kernel with a batch norm folded in. */
export interface Derivation {
  readonly from: readonly Parameter[];
  /** The values, in PyTorch's order, from those of `from` in order. */
  compute(values: readonly Float32Array[]): Float32Array;
}

/** One operation of a network: immutable, pointing at the nodes whose outputs it reads. */
export interface Node {
  /** The module's official name, e.g. `stages.0.blocks.0.pw1.conv`; what profiles show. Not unique. */
  readonly name: string;
  readonly op: Op;
  readonly inputs: readonly Node[];
  /** By PyTorch's names: `weight`, `bias`, `running_mean`, …; `scale` for a layer scale in an epilogue. */
  readonly parameters: Readonly<Record<string, Parameter>>;
  readonly shape: Shape;
  /** Nodes that are to be computed before, although nothing of them is read: they put off what would need memory early. */
  readonly after?: readonly Node[];
}

/** A network with every size fixed. What no output needs is not part of it. */
export interface Graph {
  readonly name: string;
  readonly input: Node;
  /** What a run computes, by name: `logits`, `stages.0`, … Passes keep their values. */
  readonly outputs: ReadonlyMap<string, Node>;
}

/** All nodes that the outputs need, each behind its inputs and behind those it is to come after, in order of first use. */
export function nodesOf(graph: Graph): Node[] {
  const order: Node[] = [];
  const seen = new Set<Node>();
  // A stack of its own, because networks may be deeper than the call stack.
  const stack: { readonly node: Node; next: number }[] = [];
  const enter = (node: Node): void => {
    if (seen.has(node)) return;
    seen.add(node);
    stack.push({ node, next: 0 });
  };
  for (const output of [graph.input, ...graph.outputs.values()]) {
    enter(output);
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const { after = [], inputs } = top.node;
      const { next } = top;
      top.next++;
      const before = next < after.length ? after[next] : inputs[next - after.length];
      if (before !== undefined) enter(before);
      else order.push(...stack.splice(-1).map(({ node }) => node));
    }
  }
  return order;
}

/** Who reads each node's output; nodes that are outputs of the graph count as read by `undefined` as well. */
export function usersOf(graph: Graph): ReadonlyMap<Node, readonly (Node | undefined)[]> {
  const users = new Map<Node, (Node | undefined)[]>();
  const add = (node: Node, user: Node | undefined): void => {
    const list = users.get(node);
    if (list === undefined) users.set(node, [user]);
    else list.push(user);
  };
  for (const node of nodesOf(graph)) for (const input of node.inputs) add(input, node);
  for (const output of graph.outputs.values()) add(output, undefined);
  return users;
}

/** The graph's parameters, each key once, in order of first use. */
export function parametersOf(graph: Graph): Parameter[] {
  const found = new Map<string, Parameter>();
  for (const node of nodesOf(graph)) {
    for (const parameter of Object.values(node.parameters)) found.set(parameter.key, parameter);
  }
  return [...found.values()];
}

/** Elements of a shape. */
export function elements(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}

/**
 * Replaces nodes, inputs first: `rewrite` gets each node with its inputs already replaced, beside the
 * original, and returns what takes its place. The way that all passes change graphs.
 */
export function rewriteGraph(graph: Graph, rewrite: (node: Node, original: Node) => Node): Graph {
  const replaced = new Map<Node, Node>();
  const replacement = (node: Node): Node => replaced.get(node) ?? node;
  for (const node of nodesOf(graph)) {
    const { after = [] } = node;
    const changed = [...node.inputs, ...after].some((before) => replacement(before) !== before);
    const current = changed
      ? {
          ...node,
          inputs: node.inputs.map(replacement),
          ...(after.length > 0 && { after: after.map(replacement) }),
        }
      : node;
    replaced.set(node, rewrite(current, node));
  }
  return {
    name: graph.name,
    input: replacement(graph.input),
    outputs: new Map([...graph.outputs].map(([name, node]) => [name, replacement(node)])),
  };
}

/** The same network with only some of its outputs. Throws `invalid-argument`, naming those that exist, for others. */
export function selectOutputs(graph: Graph, names: readonly string[]): Graph {
  const outputs = new Map(
    names.map((name) => {
      const node = graph.outputs.get(name);
      if (node === undefined) {
        throw invalidArgument(
          `${graph.name} has no output ${name}: use one of ${[...graph.outputs.keys()].join(', ')}.`,
        );
      }
      return [name, node];
    }),
  );
  return { ...graph, outputs };
}
