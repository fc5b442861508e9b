import { elements, nodesOf, selectOutputs, usersOf } from '../graph/graph.ts';
import type { Graph, Node } from '../graph/graph.ts';
import { costOf } from '../graph/lower.ts';
import { optimize } from '../graph/passes/index.ts';
import { isLayer } from '../graph/passes/patterns.ts';
import { signature } from '../kernels/signature.ts';
import type { Problem } from '../kernels/problem.ts';
import { DTYPE_BYTES } from './devices.ts';
import type { Dtype } from './devices.ts';
import { blockGroups } from './blocks.ts';
import { gateGroups } from './gates.ts';
import type { SqueezeExcite } from './gates.ts';
import { checkOp, kindOf } from './kernel-kind.ts';
import type { Group, KernelKind } from './kernel-kind.ts';

/*
 * What each kernel of a network costs, by the conventions of Lavin 2024, section on waterline analysis.
 *
 * Operations. Only matrix products and convolutions count; a multiply-accumulate is two. (The paper's formula has one
 * more for each bias, which is a millionth of them and is not in the counts of its tables either.)
 *
 * Bytes to and from DRAM: every input element once, every output element once, weights and bias once. A residual is one
 * more input. Activations, folded norms, layer scale and the residual sum belong to the layer before them.
 * Pooling, squeeze-and-excitation's product, concatenation and layer norm are kernels of their own.
 *
 * Both are what the library's own kernels report about themselves (`costOf` in graph/lower.ts), scaled to the data type. Two
 * kernels of these figures move less than the library's, see below: concatenation, and layers with a part of
 * squeeze-and-excitation.
 *
 * How published figures settle what these sentences leave open:
 *
 * - Fig. 8, 16 channels, expansion 3, 128×128, layer-wise 1538 µs. The map of 16 channels is 67.1 MB, 139.8 µs at 480 GB/s.
 *   1538 / 139.8 = 11 = (1 + 1) + (1 + 3) + (3 + 1 + 1): grouped, expanding and projecting layer, the residual read again.
 *   Fused, 280 µs = 2 maps: the input is read once, the shortcut comes from the copy on chip.
 * - Fig. 12, 128 channels, expansion 4, 16×16, layer-wise 544 µs. A map is 17.48 µs. 31 = (1 + 4) + (4 + 4) + 4 + (4 + 4) +
 *   (4 + 1 + 1): expanding, grouped, pooling, product, projecting with residual; 541.8 µs, and weights and gates make 544.
 * - ResNet-101: 76%. With max pooling as a kernel it is 76.2%, without 77.6%, without reading residuals 86%.
 * - ConvFirst-Small layer-wise: 36%. A concatenation that copies both halves gives 35.0%, one that is free 36.2%. A layer whose
 *   only reader is the concatenation can store its result in place, as it does bias and activation; then only the
 *   other half, the block's input, is copied: 35.6%.
 * - Fig. 12 fused: 144, 512 and 75 µs are the operations at the peak rate. The 45 µs of 144 channels are not quite: 44.45 here,
 *   0.1% less than what prints as 45. A peak that explains it contradicts 425 and 512 µs, and so does counting biases.
 * - ConvFirst-Small fused: 97%. The blocks of stride 2, with concatenation and blur, are one kernel each too.
 * - EfficientNet-B5: 30%. With pooling and product of squeeze-and-excitation as kernels of their own it is 19%. They are 36% of
 *   the time, so no other choice can make it 30. Without their traffic it is 29.5%. See gates.ts.
 */

/** One kernel's work and traffic, for the whole batch. */
export interface KernelCost {
  /** Of its layer or block, e.g. `layer1.0.conv1`. */
  readonly name: string;
  readonly kind: KernelKind;
  /** Two for each multiply-accumulate. */
  readonly ops: number;
  /** To and from DRAM. */
  readonly bytes: number;
}

export interface CostOptions {
  /** Data type of activations and weights; default f16. */
  readonly dtype?: Dtype;
  /** One kernel for each fusible block; default false, one for each layer. */
  readonly fused?: boolean;
  /** Where pooling and product of squeeze-and-excitation happen, layer-wise; default `auto`. */
  readonly squeezeExcite?: SqueezeExcite;
}

/** Operations per byte. */
export function intensityOf({ ops, bytes }: Pick<KernelCost, 'ops' | 'bytes'>): number {
  return ops / bytes;
}

/**
 * The kernels that run a network, in order, with their costs. A classifier is reduced to its `logits`. Parallel
 * kernels are merged where that saves operations: RepLKNet's, but not SLaK's.
 * Throws `invalid-argument`, naming the node, for an op that has no cost.
 */
export function kernelCosts(graph: Graph, options: CostOptions = {}): KernelCost[] {
  const whole = graph.outputs.has('logits') ? selectOutputs(graph, ['logits']) : graph;
  return costsOfOptimized(optimize(whole, { worthwhile: savesOperations }), options);
}

/** What a graph costs that is one block, fused into one kernel. Throws as {@link kernelCosts} does. */
export function blockCost(graph: Graph, dtype: Dtype = 'f16'): KernelCost {
  const optimized = optimize(graph, { worthwhile: savesOperations });
  const nodes = nodesOf(optimized).filter(({ op }) => op.type !== 'input');
  nodes.forEach(checkOp);
  return groupCost({ name: graph.name, kind: 'fused', nodes }, usersOf(optimized), DTYPE_BYTES[dtype]);
}

/** As {@link kernelCosts}, for a graph that is as it runs. Throws as it does. */
export function costsOfOptimized(graph: Graph, options: CostOptions = {}): KernelCost[] {
  for (const node of nodesOf(graph)) checkOp(node);
  const { dtype = 'f16', fused = false, squeezeExcite = 'auto' } = options;
  const elementBytes = DTYPE_BYTES[dtype];
  const blocks = fused ? blockGroups(graph) : [];
  const inBlocks = new Set(blocks.flatMap(({ nodes }) => nodes));
  const gates = gateGroups(graph, squeezeExcite).filter(
    ({ nodes }) => !nodes.some((node) => inBlocks.has(node)),
  );
  const groupOf = new Map([...blocks, ...gates].flatMap((group) => group.nodes.map((node) => [node, group])));
  const users = usersOf(graph);
  const isStoredInPlace = (input: Node): boolean => isLayer(input) && users.get(input)?.length === 1;

  const emitted = new Set<Group>();
  return nodesOf(graph).flatMap((node): KernelCost[] => {
    const kind = kindOf(node);
    if (kind === undefined) return [];
    const group = groupOf.get(node);
    if (group === undefined) {
      const { bytes } = costOf(node);
      const moved = kind === 'cat' ? copiedElements(node, isStoredInPlace) : bytes / DTYPE_BYTES.f32;
      return moved === 0 ? [] : [{ name: node.name, kind, ops: opsOf(node), bytes: elementBytes * moved }];
    }
    if (emitted.has(group) || node !== group.nodes.at(-1)) return [];
    emitted.add(group);
    return [groupCost(group, users, elementBytes)];
  });
}

/** All of them together. */
export function totalCost(kernels: readonly KernelCost[]): { readonly ops: number; readonly bytes: number } {
  return {
    ops: kernels.reduce((sum, { ops }) => sum + ops, 0),
    bytes: kernels.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

/** A group reads what comes from outside once, whoever needs it, and writes what is needed outside. */
function groupCost(group: Group, users: ReturnType<typeof usersOf>, elementBytes: number): KernelCost {
  const inside = new Set<Node | undefined>(group.nodes);
  const inputs = new Set(group.nodes.flatMap(({ inputs }) => inputs).filter((node) => !inside.has(node)));
  const outputs = group.nodes.filter((node) => users.get(node)?.some((user) => !inside.has(user)));
  const moved =
    sum([...inputs, ...outputs], ({ shape }) => elements(shape)) + sum(group.nodes, parameterElements);
  return { name: group.name, kind: group.kind, ops: sum(group.nodes, opsOf), bytes: elementBytes * moved };
}

/** What a concatenation reads and writes: all but what its producer stores in place. */
function copiedElements(node: Node, isStoredInPlace: (input: Node) => boolean): number {
  return (
    2 *
    sum(
      node.inputs.filter((input) => !isStoredInPlace(input)),
      ({ shape }) => elements(shape),
    )
  );
}

function parameterElements({ parameters }: Node): number {
  return sum(Object.values(parameters), ({ shape }) => elements(shape));
}

function opsOf(node: Node): number {
  return 2 * costOf(node).macs;
}

/** Whether one convolution has no more operations than those that it would replace. */
function savesOperations(merged: Problem, branches: readonly Problem[]): boolean {
  const macs = (problem: Problem): number => signature(problem).cost.macs;
  return macs(merged) <= sum(branches, macs);
}

function sum<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}
