import { elements, nodesOf, selectOutputs } from '../graph.ts';
import type { Graph, Node } from '../graph.ts';

/**
 * Trades time for memory in a differentiated graph (Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost"):
 * gradients read copies of forward nodes, computed again when backpropagation arrives there, so that of the forward pass
 * only some nodes between blocks live that long. Values are the same, bit for bit; at most one forward pass is added.
 *
 * Kept are statistics of batches, outputs of the graph, and those nodes through which everything passes for which they
 * and the largest part between them take least memory.
 */
export function recompute(graph: Graph): Graph {
  const names = [...graph.outputs.keys()].filter((name) => !name.startsWith('gradient.'));
  const forwardGraph = selectOutputs(graph, names);
  const forward = nodesOf(forwardGraph);
  const segments = segmentsOf(graph, forward, new Set(forwardGraph.outputs.values()));
  return new Recomputation(graph, new Set(forward), segments).run();
}

/** Rewires the backward pass. */
class Recomputation {
  readonly #graph: Graph;
  readonly #forward: ReadonlySet<Node>;
  /** The segment of each node that is not kept. */
  readonly #segments: ReadonlyMap<Node, number>;
  readonly #replaced = new Map<Node, Node>();
  readonly #copies = new Map<Node, Node>();
  /** What is computed last before a segment's first copy is needed. */
  readonly #triggers = new Map<number, Node | undefined>();
  #last: Node | undefined;

  constructor(graph: Graph, forward: ReadonlySet<Node>, segments: ReadonlyMap<Node, number>) {
    this.#graph = graph;
    this.#forward = forward;
    this.#segments = segments;
  }

  run(): Graph {
    for (const node of nodesOf(this.#graph)) {
      if (this.#forward.has(node)) continue;
      const inputs = node.inputs.map((input) => this.#input(input));
      const changed = inputs.some((input, i) => input !== node.inputs[i]);
      this.#last = changed ? { ...node, inputs } : node;
      this.#replaced.set(node, this.#last);
    }
    const outputs = [...this.#graph.outputs].map(
      ([name, node]) => [name, this.#replaced.get(node) ?? node] as const,
    );
    return { ...this.#graph, outputs: new Map(outputs) };
  }

  #input(node: Node): Node {
    const segment = this.#segments.get(node);
    if (segment !== undefined && !this.#triggers.has(segment)) this.#triggers.set(segment, this.#last);
    return this.#replaced.get(node) ?? this.#copy(node);
  }

  /** A copy of a forward node, or the node itself if it is kept. */
  #copy(node: Node): Node {
    const segment = this.#segments.get(node);
    if (segment === undefined) return node;
    const known = this.#copies.get(node);
    if (known !== undefined) return known;
    const trigger = this.#triggers.get(segment);
    const copy: Node = {
      ...node,
      inputs: node.inputs.map((input) => this.#copy(input)),
      ...(trigger && { after: [trigger] }),
    };
    this.#copies.set(node, copy);
    return copy;
  }
}

/** Of each forward node that is computed again, the number of its segment. The last segment is needed at once: it is kept. */
function segmentsOf(
  { input }: Graph,
  forward: readonly Node[],
  outputs: ReadonlySet<Node>,
): ReadonlyMap<Node, number> {
  const isFree = (node: Node): boolean => node.op.type === 'input' || node.op.type === 'batch-statistics';
  const chain = forward.filter((node) => node === input || !isFree(node));
  const boundaries = chooseBoundaries(chain, cutPositions(chain));
  const segments = new Map<Node, number>();
  boundaries.slice(0, -2).forEach((start, segment) => {
    for (const node of chain.slice(start + 1, boundaries[segment + 1])) {
      if (!outputs.has(node)) segments.set(node, segment);
    }
  });
  return segments;
}

/** Positions of nodes through which everything passes: no later node reads an earlier one. */
function cutPositions(chain: readonly Node[]): number[] {
  const position = new Map(chain.map((node, i) => [node, i]));
  const lastReader = chain.map((_, i) => i);
  chain.forEach(({ inputs }, i) => {
    for (const input of inputs) {
      const from = position.get(input);
      if (from !== undefined) lastReader[from] = i;
    }
  });
  const cuts: number[] = [];
  let reach = 0;
  chain.forEach((_, i) => {
    if (reach <= i) cuts.push(i);
    reach = Math.max(reach, lastReader[i] ?? i);
  });
  return cuts;
}

/** Limits of a segment's size that are tried fall by this factor. */
const LIMIT_FACTOR = 1.2;
const LIMITS = 64;

/** Of the cuts, first and last included, those with the least sum of their sizes and of the largest segment's. */
function chooseBoundaries(chain: readonly Node[], cuts: readonly number[]): readonly number[] {
  const sizes = chain.map(({ shape }) => elements(shape));
  const before = [0];
  for (const size of sizes) before.push((before.at(-1) ?? 0) + size);
  const inside = (from: number, to: number): number => (before[to] ?? 0) - (before[from + 1] ?? 0);
  let best: { readonly cost: number; readonly boundaries: readonly number[] } = {
    cost: Infinity,
    boundaries: cuts,
  };
  for (let i = 0, limit = before.at(-1) ?? 0; i < LIMITS; i++, limit /= LIMIT_FACTOR) {
    const boundaries = cheapestWithin(limit, cuts, sizes, inside);
    if (boundaries === undefined) break;
    const kept = boundaries.reduce((sum, at) => sum + (sizes[at] ?? 0), 0);
    const largest = Math.max(...boundaries.slice(1).map((to, j) => inside(boundaries[j] ?? 0, to)));
    if (kept + largest < best.cost) best = { cost: kept + largest, boundaries };
  }
  return best.boundaries;
}

/** The boundaries of least size between which no segment is larger than a limit, by dynamic programming. */
function cheapestWithin(
  limit: number,
  cuts: readonly number[],
  sizes: readonly number[],
  inside: (from: number, to: number) => number,
): readonly number[] | undefined {
  const cost = cuts.map(() => Infinity);
  const previous = cuts.map(() => -1);
  cost[0] = 0;
  cuts.forEach((to, j) => {
    for (let i = j - 1; i >= 0 && inside(cuts[i] ?? 0, to) <= limit; i--) {
      const sum = (cost[i] ?? Infinity) + (sizes[to] ?? 0);
      if (sum < (cost[j] ?? Infinity)) [cost[j], previous[j]] = [sum, i];
    }
  });
  if (cost.at(-1) === Infinity) return undefined;
  const boundaries: number[] = [];
  for (let j = cuts.length - 1; j >= 0; j = previous[j] ?? -1) boundaries.unshift(cuts[j] ?? 0);
  return boundaries;
}
