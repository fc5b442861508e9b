import { elements, nodesOf, parametersOf, selectOutputs } from '../graph/graph.ts';
import type { Graph, Node, Parameter, Shape } from '../graph/graph.ts';
import { describeOp } from '../graph/dump.ts';
import { costOf, macsOf } from '../graph/lower.ts';
import { optimize } from '../graph/passes/index.ts';
import { isDepthwise } from '../graph/passes/patterns.ts';
import { planMemory } from '../graph/passes/plan-memory.ts';
import { FEATURES } from '../models/model.ts';

/** Multiply-accumulates by kind of layer, as papers split them. */
export interface MacsByKind {
  /** Convolutions of one input channel a group. */
  readonly depthwise: number;
  /** Other convolutions of more than one group. */
  readonly grouped: number;
  /** 1×1 convolutions of one group. */
  readonly pointwise: number;
  /** Other convolutions: stems, patches, dense K×K. */
  readonly other: number;
  readonly linear: number;
}

/** A part of a network: what one of its official modules adds to those before it. */
export interface StageFacts {
  readonly name: string;
  /** [N, H, W, C] of its output. */
  readonly shape: Shape;
  /** Residual blocks, where the module consists of such. */
  readonly blocks: number;
  readonly params: number;
  readonly macs: number;
}

export interface LayerFacts {
  readonly name: string;
  readonly op: string;
  readonly shape: Shape;
  readonly params: number;
  readonly macs: number;
}

/** The two numbers that papers state. */
export interface Totals {
  /** Trained parameters: no running statistics. */
  readonly params: number;
  /** Convolutions and linear layers, taps on padding included, for one image. */
  readonly macs: number;
}

export interface GraphFacts extends Totals {
  readonly macsByKind: MacsByKind;
  readonly memory: {
    /** Parameters and running statistics in float32. */
    readonly weightsMiB: number;
    /** What one image needs while it runs, layers fused and memory reused. */
    readonly activationsMiB: number;
  };
  readonly stages: readonly StageFacts[];
  readonly layers: readonly LayerFacts[];
}

const MIB = 2 ** 20;
const FLOAT_BYTES = 4;

/** Counts a classifier. */
export function countGraph(full: Graph): Totals {
  const graph = selectOutputs(full, ['logits']);
  return { params: trained(parametersOf(graph)), macs: macsOf(graph) };
}

/** Examines a classifier, with all the outputs that its variant names. */
export function examineGraph(full: Graph): GraphFacts {
  const graph = selectOutputs(full, ['logits']);
  const nodes = nodesOf(graph);
  return {
    ...countGraph(graph),
    macsByKind: macsByKind(nodes),
    memory: {
      weightsMiB: (FLOAT_BYTES * count(parametersOf(graph))) / MIB,
      activationsMiB: activationBytes(optimize(graph)) / MIB,
    },
    stages: stagesOf(full, nodes),
    layers: nodes
      .filter(({ op }) => op.type !== 'input')
      .map((node) => ({
        name: node.name,
        op: describeOp(node.op),
        shape: node.shape,
        params: trained(Object.values(node.parameters)),
        macs: costOf(node).macs,
      })),
  };
}

function macsByKind(nodes: readonly Node[]): MacsByKind {
  const sums: Record<keyof MacsByKind, number> = {
    depthwise: 0,
    grouped: 0,
    pointwise: 0,
    other: 0,
    linear: 0,
  };
  for (const node of nodes) {
    const kind = kindOf(node);
    if (kind !== undefined) sums[kind] += costOf(node).macs;
  }
  return sums;
}

function kindOf(node: Node): keyof MacsByKind | undefined {
  const { op } = node;
  if (op.type === 'linear') return 'linear';
  if (op.type !== 'conv') return undefined;
  if (isDepthwise(node)) return 'depthwise';
  if (op.groups > 1) return 'grouped';
  return op.kernelHeight === 1 && op.kernelWidth === 1 ? 'pointwise' : 'other';
}

/** Each node belongs to the first official module whose output needs it. */
function stagesOf(full: Graph, nodes: readonly Node[]): StageFacts[] {
  const features: readonly string[] = FEATURES;
  const counted = new Set(nodes);
  return [...full.outputs]
    .filter(([name]) => !features.includes(name))
    .flatMap(([name, output]) => {
      const own = nodesOf(selectOutputs(full, [name])).filter((node) => counted.delete(node));
      if (own.length === 0) return [];
      return {
        name,
        shape: output.shape,
        blocks: blocksOf(name, own),
        params: trained(own.flatMap((node) => Object.values(node.parameters))),
        macs: own.reduce((sum, node) => sum + costOf(node).macs, 0),
      };
    });
}

/**
 * Distinct numbers behind the module's name, `stages.0.3.…` or `stages.0.blocks.3.…`, unless they are but layers in a
 * row: blocks have residuals, or several layers.
 */
function blocksOf(stage: string, nodes: readonly Node[]): number {
  const numbers = nodes.flatMap(({ name }) => {
    const rest = name.startsWith(`${stage}.`) ? name.slice(stage.length + 1) : '';
    return /^(?:blocks\.)?(\d+)\./.exec(rest)?.[1] ?? [];
  });
  const blocks = new Set(numbers).size;
  const layers = nodes.filter((node) => kindOf(node) !== undefined).length;
  const hasResidual = nodes.some(
    ({ op }) => op.type === 'elementwise' && op.steps.some(({ kind }) => kind === 'add'),
  );
  return hasResidual || layers > blocks ? blocks : 0;
}

/** Bytes of the arena for all activations, placed by lifetime, the input included. */
function activationBytes(graph: Graph): number {
  const nodes = nodesOf(graph);
  const steps = new Map(nodes.map((node, step) => [node, step]));
  const lastUse = new Map(steps);
  for (const node of nodes) {
    for (const input of node.inputs) lastUse.set(input, steps.get(node) ?? 0);
  }
  const buffers = nodes.map((node, step) => ({
    size: elements(node.shape),
    first: step,
    last: lastUse.get(node) ?? step,
  }));
  return FLOAT_BYTES * planMemory(buffers).total;
}

function trained(parameters: readonly Parameter[]): number {
  return count(parameters.filter(({ buffer }) => !buffer));
}

function count(parameters: readonly Parameter[]): number {
  return parameters.reduce((sum, { shape }) => sum + elements(shape), 0);
}
