import { invalidArgument } from '../core/errors.ts';
import type { Node } from '../graph/graph.ts';
import type { Op } from '../graph/op.ts';
import { isDepthwise } from '../graph/passes/patterns.ts';
import type { TrainingOp } from '../graph/training-ops.ts';

/** What a kernel is, as plots colour it. */
export type KernelKind =
  | 'conv'
  | 'grouped'
  | 'depthwise'
  | 'pointwise'
  | 'fused'
  | 'pool'
  | 'multiply'
  | 'cat'
  | 'norm'
  | 'elementwise'
  | 'resize';

/** Nodes that one kernel computes; the last one is computed last. */
export interface Group {
  readonly name: string;
  readonly kind: KernelKind;
  readonly nodes: readonly Node[];
}

/** By an op's type: all but those that only training has. */
const KINDS: Readonly<Record<string, KernelKind | undefined>> = {
  input: undefined,
  conv: 'conv',
  linear: 'pointwise',
  'batch-norm': 'norm',
  'layer-norm': 'norm',
  elementwise: 'elementwise',
  'layer-scale': 'multiply',
  'channel-scale': 'multiply',
  pool: 'pool',
  'global-pool': 'pool',
  softmax: 'elementwise',
  'blur-pool': 'pool',
  resize: 'resize',
  concat: 'cat',
  ffn: 'fused',
  convfirst: 'fused',
  'convfirst-chain': 'fused',
  mbconv: 'fused',
} satisfies Record<Exclude<Op['type'], TrainingOp['type']>, KernelKind | undefined>;

/** What kind of kernel computes a node alone; undefined for the network's input. */
export function kindOf(node: Node): KernelKind | undefined {
  if (node.op.type !== 'conv') return KINDS[node.op.type];
  if (isDepthwise(node)) return 'depthwise';
  if (node.op.groups > 1) return 'grouped';
  return node.op.kernelHeight === 1 && node.op.kernelWidth === 1 ? 'pointwise' : 'conv';
}

/** Throws `invalid-argument`, naming the node: graphs may come from outside TypeScript, or know more ops. */
export function checkOp({ name, op }: Node): void {
  if (Object.hasOwn(KINDS, op.type)) return;
  throw invalidArgument(
    `The lab knows no cost of the op "${op.type}" of ${name}: leave it out with selectOutputs, or use other ops.`,
  );
}
