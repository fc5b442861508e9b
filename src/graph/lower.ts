import type { Problem } from '../kernels/problem.ts';
import { signature } from '../kernels/signature.ts';
import type { Cost } from '../kernels/family.ts';
import type { Node, Parameter } from './graph.ts';
import { elements, nodesOf } from './graph.ts';
import type { Graph } from './graph.ts';
import type { Op } from './op.ts';
import { definitionOf } from './ops/index.ts';

const FLOAT_BYTES = 4;

/** A node as the kernels see it: a problem, its inputs by name, its weights by name. */
export interface LoweredNode {
  readonly node: Node;
  readonly problem: Problem;
  readonly inputs: ReadonlyMap<string, Node>;
  readonly weights: ReadonlyMap<string, Parameter>;
}

/**
 * What the kernels are to compute for a node.
 *
 * @param pitch floats from pixel to pixel for so many channels
 */
export function lower(node: Node, pitch: (channels: number) => number): LoweredNode {
  const sizes = { inputs: node.inputs.map((input) => input.shape), output: node.shape, pitch };
  const { problem, inputs, renamed = {} } = definitionOf(node.op).lower(node.op, sizes);
  const weights = new Map<string, Parameter>();
  for (const { name } of signature(problem).weights) {
    const parameter = node.parameters[renamed[name] ?? name];
    if (parameter !== undefined) weights.set(name, parameter);
  }
  const named = new Map(
    inputs.flatMap((name, i) => {
      const input = node.inputs[i];
      return input === undefined ? [] : [[name, input] as const];
    }),
  );
  return { node, problem, inputs: named, weights };
}

/** Layers in one kernel, which reads its input once, also where it is the shortcut. */
const BLOCKS: ReadonlySet<Op['type']> = new Set(['ffn', 'convfirst', 'mbconv']);

/**
 * What a node costs by definition, whatever the kernel: MACs as papers count them, bytes, depth of sums. It is the cost in
 * its problem's signature, which counts a residual as one more input, but for a block whose shortcut is its input: a
 * problem does not know that they are one tensor.
 */
export function costOf(node: Node): Cost {
  if (node.op.type === 'input') return { macs: 0, bytes: 0, depth: 0 };
  const cost = signature(lower(node, (channels) => channels).problem).cost;
  const [x, residual] = node.inputs;
  const isShortcut = BLOCKS.has(node.op.type) && x !== undefined && residual === x;
  const bytes = cost.bytes - (isShortcut ? FLOAT_BYTES * elements(x.shape) : 0);
  // A layer scale runs as a convolution, but papers do not count it.
  return { ...cost, bytes, ...(node.op.type === 'layer-scale' && { macs: 0 }) };
}

/** Multiply-accumulates of a whole network: convolutions and linear layers, taps on padding included. */
export function macsOf(graph: Graph): number {
  return nodesOf(graph).reduce((sum, node) => sum + costOf(node).macs, 0);
}
