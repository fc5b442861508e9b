import { makeNode } from '../../graph/builder.ts';
import type { Node, Parameter } from '../../graph/graph.ts';
import type { ElementwiseStep } from '../../kernels/problem.ts';
import { printable } from '../text.ts';
import { small } from './import-fold.ts';
import { hasNoCost, labelOf } from './import-index.ts';
import type { ImportedParameters } from './import-parameters.ts';
import type { ProtoNode } from './import-proto.ts';
import { NCHW, data, isLaidOut, shapeOf } from './import-values.ts';
import type { Constant, Data, Value } from './import-values.ts';

/** An ONNX node and its inputs' values, those that are left out undefined. */
export interface OnnxCall {
  readonly node: ProtoNode;
  readonly inputs: readonly (Value | undefined)[];
  readonly opset: number;
  readonly parameters: ImportedParameters;
  /** Rows and columns of zeros that a Pad in front adds. */
  readonly pads?: readonly [top: number, left: number, bottom: number, right: number];
  /** Whether nobody else reads the input of that index. */
  isUsedOnce(input: number): boolean;
  /** The operators that read its result. */
  readonly readers: readonly string[];
}

/**
 * The node's own name, or that of its parameters without `.weight`, which are the names of modules. Not where several nodes
 * read them: exporters store equal tensors once.
 */
export function nameOf(node: ProtoNode, weight?: Parameter, call?: OnnxCall): string {
  const isOwn = call?.inputs.every((input, i) => input?.kind !== 'constant' || i > 1 || call.isUsedOnce(i));
  const module = weight && isOwn && /^(?!onnx::)(.*)\.weight$/.exec(weight.key)?.[1];
  return printable(module || labelOf(node).replace(/^\//, '').replaceAll('/', '.'));
}

/** An input that is a result. */
export function dataInput({ node, inputs }: OnnxCall, index: number): Data {
  const value = inputs[index];
  if (value?.kind === 'data' && value.expanded === undefined) return value;
  const what = value === undefined ? 'missing' : value.kind === 'data' ? 'expanded' : 'a constant';
  throw hasNoCost(node, `its input ${index + 1} is ${what}`);
}

/** An input that must be known. */
export function constantInput({ node, inputs }: OnnxCall, index: number, what: string): Constant {
  const value = inputs[index];
  if (value?.kind === 'constant') return value;
  throw hasNoCost(node, `its ${what} ${value === undefined ? 'is missing' : 'is computed from the input'}`);
}

/** The numbers of a small input that is known. */
export function numbersInput(call: OnnxCall, index: number): number[] | undefined {
  const value = call.inputs[index];
  return value?.kind === 'constant' ? small(call.node, value) : undefined;
}

/** The first input, if it is a map [N, C, H, W]. */
export function mapInput(call: OnnxCall): Data {
  const x = dataInput(call, 0);
  if (isLaidOut(x, NCHW)) return x;
  throw hasNoCost(call.node, `it reads [${shapeOf(x).join(', ')}], not a map [N, C, H, W]`);
}

/** An element-wise chain over a result, and others of its shape. */
export function chain(
  call: Pick<OnnxCall, 'node'>,
  x: Data,
  steps: readonly ElementwiseStep[],
  others: readonly Node[] = [],
): Data {
  return data(makeNode(nameOf(call.node), { type: 'elementwise', steps }, [x.node, ...others]), x.dimensions);
}
