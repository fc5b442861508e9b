import type { DeviceCaps } from '../core/caps.ts';
import { invalidArgument } from '../core/errors.ts';
import { nodesOf } from '../graph/graph.ts';
import type { Graph, Node } from '../graph/graph.ts';
import { lower } from '../graph/lower.ts';
import type { OptimizeOptions } from '../graph/passes/index.ts';
import type { LoweredNode } from '../graph/lower.ts';
import { planMemory } from '../graph/passes/plan-memory.ts';
import type { Candidate } from '../kernels/family.ts';
import { candidates } from '../kernels/index.ts';
import { channelPitch } from '../kernels/problem.ts';
import type { Problem } from '../kernels/problem.ts';
import { signature as signatureOf } from '../kernels/signature.ts';
import type { Signature } from '../kernels/signature.ts';
import { chooseCandidate } from './planner.ts';
import type { TuningRecords } from './tuning-file.ts';

/** Arithmetic of matrix products: `bf16` rounds both factors to bfloat16 where the device has the instructions. */
export type Precision = 'float32' | 'bf16';

export interface PlanOptions {
  /** Measurements that the planner prefers to its estimates. */
  readonly tuning?: TuningRecords;
  /** Default `float32`. */
  readonly precision?: Precision;
  /** Nodes whose outputs have places outside of the arena. */
  readonly outside?: ReadonlySet<Node>;
}

/** A node with the kernels that will compute it. */
export interface PlannedNode extends LoweredNode {
  readonly signature: Signature;
  readonly candidate: Candidate;
  /** Where its output lies in the arena, in floats; 0 if it lies outside. */
  readonly offset: number;
  /** Where its temporary memory lies in the arena, if it needs any. */
  readonly tempOffset: number | undefined;
}

/** A tensor [N, H, W, C] in the arena: N·H·W pixels of `pitch` floats, of which the first C count. */
export interface PlacedTensor {
  readonly node: Node;
  readonly pitch: number;
  readonly offset: number;
}

/** Which kernels compute a graph on a device, and where everything lies. */
export interface Plan {
  readonly nodes: readonly PlannedNode[];
  readonly input: PlacedTensor;
  /** All inputs by name; networks in training have several. */
  readonly inputs: ReadonlyMap<string, PlacedTensor>;
  readonly outputs: ReadonlyMap<string, PlacedTensor>;
  /** Floats of the arena. */
  readonly arenaFloats: number;
}

/**
 * Chooses kernels for every node of a graph and places all activations in one arena, by lifetime.
 * Throws `unsupported`, naming the node, if one has no kernel on such a device, `invalid-argument` for a precision that
 * there is not.
 */
export function planGraph(graph: Graph, caps: DeviceCaps, options: PlanOptions = {}): Plan {
  checkPrecision(options.precision);
  const all = nodesOf(graph);
  const padPhotos = all.some((node) => needsPadding(node, caps));
  const pitch = pitchOf(caps, padPhotos);
  const choose = candidateChooser(caps, options.tuning);
  const inputs = all.filter((node) => node.op.type === 'input');
  const chosen = all
    .filter((node) => node.op.type !== 'input')
    .map((node) => {
      const lowered = lower(node, pitch);
      const problem = withPrecision(lowered.problem, options.precision);
      const candidate = choose(problem, node.name);
      return { ...lowered, problem, candidate, signature: signatureOf(problem) };
    });
  const floatsOf = (node: Node): number =>
    options.outside?.has(node) ? 0 : node.shape[0] * node.shape[1] * node.shape[2] * pitch(node.shape[3]);

  // Step i computes node i. Outputs stay until after the last; so do inputs, so that a run can be repeated.
  const end = chosen.length;
  const lastUse = new Map<Node, number>();
  chosen.forEach(({ node }, step) => node.inputs.forEach((input) => lastUse.set(input, step)));
  for (const output of graph.outputs.values()) lastUse.set(output, end);
  const lifetimes = [
    ...inputs.map((node) => ({ size: floatsOf(node), first: 0, last: end })),
    ...chosen.map(({ node }, step) => ({
      size: floatsOf(node),
      first: step,
      last: lastUse.get(node) ?? step,
    })),
    ...chosen.map(({ candidate }, step) => ({ size: candidate.emit().tempFloats, first: step, last: step })),
  ];
  const { offsets, total } = planMemory(lifetimes);
  const offsetOf = (index: number): number => offsets[index] ?? 0;
  const nodes = chosen.map((entry, step) => ({
    ...entry,
    offset: offsetOf(inputs.length + step),
    tempOffset: entry.candidate.emit().tempFloats > 0 ? offsetOf(inputs.length + end + step) : undefined,
  }));
  const places = new Map([
    ...inputs.map((node, i) => [node, offsetOf(i)] as const),
    ...nodes.map(({ node, offset }) => [node, offset] as const),
  ]);
  const place = (node: Node): PlacedTensor => ({
    node,
    pitch: pitch(node.shape[3]),
    offset: places.get(node) ?? 0,
  });
  return {
    nodes,
    input: place(graph.input),
    inputs: new Map(inputs.map((node) => [node.name, place(node)])),
    outputs: new Map([...graph.outputs].map(([name, node]) => [name, place(node)])),
    arenaFloats: total,
  };
}

/**
 * Whether a node reads or writes as few channels as photos have in a way that takes whole vectors: logits of two classes,
 * a gradient to the input, a depthwise convolution of a photo.
 */
function needsPadding(node: Node, caps: DeviceCaps): boolean {
  const isNarrow = [node, ...node.inputs].some(({ shape }) => shape[3] <= PHOTO_CHANNELS);
  if (!isNarrow || node.op.type === 'input') return false;
  return candidates(lower(node, pitchOf(caps, false)).problem, caps).length === 0;
}

/**
 * Floats from pixel to pixel on a device. Photos, and what else has so few channels, stay without padding where all
 * kernels of a graph can do with that: convolutions broadcast what they read, and writing the input is then one copy.
 */
function pitchOf(caps: DeviceCaps, padPhotos: boolean): (channels: number) => number {
  const widest = Math.max(...caps.lanes);
  return (channels) => (channels <= PHOTO_CHANNELS && !padPhotos ? channels : channelPitch(channels, widest));
}

const PHOTO_CHANNELS = 3;

/** Chooses once for each distinct problem; networks repeat their blocks. */
function candidateChooser(
  caps: DeviceCaps,
  tuning: TuningRecords | undefined,
): (problem: Problem, node?: string) => Candidate {
  const chosen = new Map<string, Candidate>();
  return (problem, node) => {
    const { key } = signatureOf(problem);
    const known = chosen.get(key);
    if (known !== undefined) return known;
    const candidate = memoized(chooseCandidate(problem, caps, tuning, node));
    chosen.set(key, candidate);
    return candidate;
  };
}

/** The same candidate, whose code is built once. */
function memoized(candidate: Candidate): Candidate {
  let emission: ReturnType<Candidate['emit']> | undefined;
  return { ...candidate, emit: () => (emission ??= candidate.emit()) };
}

/** Throws `invalid-argument` for anything else: callers without types may misspell it. */
export function checkPrecision(precision: string | undefined): void {
  if (precision === undefined || precision === 'float32' || precision === 'bf16') return;
  throw invalidArgument(`The precision must be float32 or bf16, got ${precision}.`);
}

function withPrecision(problem: Problem, precision: Precision | undefined): Problem {
  return precision === 'bf16' && problem.op === 'pointwise' ? { ...problem, precision } : problem;
}

/**
 * Bytes a cycle of a core at which layers hand results to each other, beside what their estimates count. Measured: 10
 * through memory, much more through a last-level cache that nobody else uses.
 */
const HANDED_BYTES_PER_CYCLE = 20;

/** Blocks must promise at least 2% to be fused: that is what estimates of either form are uncertain by. */
const WORTH_FUSING = 0.98;

/** What `optimize` asks about merging and fusing, answered by the estimates of the kernels that would be chosen. */
export function optimizeFor(
  caps: DeviceCaps,
  { tuning, precision }: PlanOptions = {},
): Required<Pick<OptimizeOptions, 'worthwhile' | 'worthFusing' | 'pitch'>> {
  const choose = candidateChooser(caps, tuning);
  const cycles = (problem: Problem): number => choose(withPrecision(problem, precision)).estimate;
  const bytesOf = (problem: Problem): number => signatureOf(problem).cost.bytes;
  const total = (problems: readonly Problem[]): number =>
    problems.reduce((sum, problem) => sum + cycles(problem), 0);
  return {
    // Padded, so that every problem has a kernel: which of a graph's photos stay unpadded is known once it is fused.
    pitch: pitchOf(caps, true),
    worthwhile: (merged, branches) => cycles(merged) <= total(branches),
    worthFusing: (fused, layers) => {
      // Networks may hold blocks that no kernel takes whole, such as those with groups narrower than a vector.
      if (candidates(fused, caps).length === 0) return false;
      const bytes = layers.reduce((sum, problem) => sum + bytesOf(problem), 0) - bytesOf(fused);
      return cycles(fused) <= WORTH_FUSING * (total(layers) + bytes / HANDED_BYTES_PER_CYCLE);
    },
  };
}
