import type { Node } from '../../graph/graph.ts';
import { Numbers } from './import-numbers.ts';

/** An axis of a map [N, H, W, C]. */
export type Axis = 'n' | 'h' | 'w' | 'c';

const AXES: readonly Axis[] = ['n', 'h', 'w', 'c'];

/** Axes that one dimension of an ONNX tensor holds, the slowest first; those of one element are left out. */
export type Dimension = readonly Axis[];

/**
 * A result in ONNX's terms: a node, and how its axes make up the tensor's dimensions. A transposition, a flattening or a
 * squeeze changes the dimensions and nothing else: [[n], [c], [h], [w]] is NCHW, [[n], [h, w], [c]] a sequence of pixels.
 */
export interface Data {
  readonly kind: 'data';
  readonly node: Node;
  readonly dimensions: readonly Dimension[];
  /** The shape that an Expand gives it; who reads it must broadcast to no less. */
  readonly expanded?: readonly number[];
}

/** Numbers that are known without an input: a weight, or what shapes are computed with. */
export interface Constant {
  readonly kind: 'constant';
  /** The tensor's name in the file, or that of the node that computes it. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly isFloat: boolean;
  readonly numbers: Numbers;
  /** What every number is, if the file does not have them: see `ImportedParameters.fill`. */
  readonly filled?: number;
}

export type Value = Data | Constant;

/** Dimensions of an ONNX map, in the order that convolutions want. */
export const NCHW: readonly Axis[] = ['n', 'c', 'h', 'w'];

/** A node's result in a layout: one axis a dimension. */
export function dataIn(layout: readonly Axis[], node: Node): Data {
  return data(
    node,
    layout.map((axis) => [axis]),
  );
}

/** A result; axes of one element are dropped, since they may stand anywhere. */
export function data(node: Node, dimensions: readonly Dimension[]): Data {
  const kept = dimensions.map((axes) => axes.filter((axis) => axisSize(node, axis) > 1));
  return { kind: 'data', node, dimensions: kept };
}

export function axisSize(node: Node, axis: Axis): number {
  return node.shape[AXES.indexOf(axis)] ?? 1;
}

/** The ONNX shape. */
export function shapeOf(value: Value): number[] {
  if (value.kind === 'constant') return [...value.shape];
  return value.dimensions.map((axes) => sizeOf(value.node, axes));
}

function sizeOf(node: Node, axes: Dimension): number {
  return axes.reduce((product, axis) => product * axisSize(node, axis), 1);
}

/** Whether a dimension holds just these axes, in this order. */
export function holds({ node, dimensions }: Data, dimension: number, axes: readonly Axis[]): boolean {
  const wanted = axes.filter((axis) => axisSize(node, axis) > 1);
  const found = dimensions[dimension];
  return found?.length === wanted.length && wanted.every((axis, i) => axis === found[i]);
}

/** Whether a tensor has these dimensions, one axis each. */
export function isLaidOut(value: Data, layout: readonly Axis[]): boolean {
  return value.dimensions.length === layout.length && layout.every((axis, i) => holds(value, i, [axis]));
}

/**
 * The same elements in the same order under another shape; undefined if a dimension would hold part of an axis.
 *
 * @param shape as long as the tensor, without placeholders
 */
export function regroup({ node, dimensions }: Data, shape: readonly number[]): Data | undefined {
  const axes = dimensions.flat();
  let next = 0;
  const grouped: Axis[][] = [];
  for (const size of shape) {
    const group: Axis[] = [];
    for (let product = 1; product < size;) {
      const axis = axes[next++];
      if (axis === undefined) return undefined;
      group.push(axis);
      product *= axisSize(node, axis);
      if (product > size) return undefined;
    }
    grouped.push(group);
  }
  return next === axes.length ? { kind: 'data', node, dimensions: grouped } : undefined;
}

/** Counts from the end below zero. Undefined for what is not there. */
export function positive(axis: number, rank: number): number | undefined {
  const index = axis < 0 ? axis + rank : axis;
  return Number.isInteger(index) && index >= 0 && index < rank ? index : undefined;
}

/** A constant that does not come from a tensor of the file. */
export function computed(
  name: string,
  shape: readonly number[],
  numbers: ArrayLike<number>,
  float = false,
): Constant {
  const source = { isKnown: true, all: () => numbers, read: () => Promise.resolve(numbers) };
  return { kind: 'constant', name, shape, isFloat: float, numbers: new Numbers(source) };
}

/** The same numbers in the same order under another shape. */
export function reshaped(constant: Constant, shape: readonly number[]): Constant {
  return { ...constant, shape };
}

/** A constant with its dimensions in another order. */
export function transposed(constant: Constant, permutation: readonly number[]): Constant {
  const { shape, numbers } = constant;
  return {
    ...constant,
    shape: permutation.map((from) => shape[from] ?? 1),
    numbers: numbers.permuted(shape, permutation),
  };
}
