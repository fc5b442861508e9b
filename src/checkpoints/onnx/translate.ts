import { invalidArgument } from '../../core/errors.ts';
import { nodesOf } from '../../graph/graph.ts';
import type { Graph, Node, Shape } from '../../graph/graph.ts';
import { splitBlocks } from '../../graph/passes/fuse-blocks.ts';
import { OnnxEmitter } from './emitter.ts';
import type { InitialValues, Layout, LinearForm, Value } from './emitter.ts';
import type { OnnxModel, OnnxNode, OnnxValue } from './model.ts';
import { translateNode, valueIn } from './ops.ts';

/** Versions of the operator set that can be written. 17 is the first with LayerNormalization. */
const OPSETS = { first: 17, last: 22 } as const;

const INPUT = 'input';

export interface TranslateOptions {
  /** Version of ONNX's operator set, 17 to 22. Default: 17. From 20 on there is an operator for GELU. */
  readonly opset?: number;
  /**
   * Linear layers on maps as matrix products with channels last, as PyTorch exports them (the default), or as 1×1
   * convolutions. Outputs are the same; which is quicker depends on runtime and network.
   */
  readonly linear?: LinearForm;
  /** Whether the model takes any batch, or the graph's. Default: true. */
  readonly dynamicBatch?: boolean;
}

/**
 * A graph as an ONNX model, without its parameters' values. Its input is `input` [N, C, H, W]; maps are [N, C, H, W]
 * as well, and what is computed from a global pool alone is [N, C].
 */
export function translateGraph(given: Graph, options: TranslateOptions = {}): OnnxModel<InitialValues> {
  const { opset = 17, linear = 'matmul', dynamicBatch = true } = options;
  if (!Number.isInteger(opset) || opset < OPSETS.first || opset > OPSETS.last) {
    throw invalidArgument(`The opset must be from ${OPSETS.first} to ${OPSETS.last}, got ${opset}.`);
  }
  // Fused blocks are for devices.
  const graph = splitBlocks(given);
  const emitter = new OnnxEmitter(opset, linear, [INPUT, ...graph.outputs.keys()]);
  const values = new Map<Node, Value>();
  const valueOf = (node: Node): Value => {
    const value = values.get(node);
    if (value === undefined) throw invalidArgument(`${node.name} is used before it is computed.`);
    return value;
  };
  for (const node of nodesOf(graph)) {
    const isInput = node === graph.input;
    const value = isInput
      ? valueIn('nchw', INPUT, node.shape)
      : translateNode(emitter, node, node.inputs.map(valueOf));
    values.set(node, value);
  }
  const pooled = pooledNodes(graph);
  const sizes = ([batch, ...rest]: Shape, layout: Layout): OnnxValue['shape'] => {
    const [height, width, channels] = rest;
    return [dynamicBatch ? 'N' : batch, channels, ...(layout === 'nc' ? [] : [height, width])];
  };
  const outputs: OnnxValue[] = [];
  const renamed = new Map<string, string>();
  for (const [name, node] of graph.outputs) {
    const layout = pooled.has(node) ? 'nc' : 'nchw';
    emitter.enter(name);
    const from = emitter.as(valueOf(node), layout);
    // A value has one name, and the input keeps its own.
    if (from === INPUT || renamed.has(from)) renamed.set(emitter.emit('Identity', [from]), name);
    else renamed.set(from, name);
    outputs.push({ name, shape: sizes(node.shape, layout) });
  }
  return {
    name: graph.name,
    opset,
    metadata: { producer: 'widefield', model: graph.name },
    nodes: emitter.nodes.map((node) => renameValues(node, renamed)),
    inputs: [{ name: INPUT, shape: sizes(graph.input.shape, 'nchw') }],
    outputs,
    initializers: emitter.initializers,
  };
}

/** Nodes whose results are vectors and no maps any more, because a global pool lies between them and every map. */
export function pooledNodes(graph: Graph): ReadonlySet<Node> {
  const pooled = new Set<Node>();
  for (const node of nodesOf(graph)) {
    const vectorsOnly = node.inputs.length > 0 && node.inputs.every((input) => pooled.has(input));
    if (node.op.type === 'global-pool' || vectorsOnly) pooled.add(node);
  }
  return pooled;
}

function renameValues(node: OnnxNode, renamed: ReadonlyMap<string, string>): OnnxNode {
  const rename = (name: string): string => renamed.get(name) ?? name;
  return { ...node, inputs: node.inputs.map(rename), outputs: node.outputs.map(rename) };
}
