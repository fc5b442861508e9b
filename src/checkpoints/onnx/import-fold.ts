import { elements } from '../../graph/graph.ts';
import type { OnnxIndex } from './import-index.ts';
import { hasNoCost, intAttribute, intsAttribute } from './import-index.ts';
import type { ProtoNode } from './import-proto.ts';
import { inlineNumbers, isFloat } from './import-tensor.ts';
import { computed, positive, reshaped, shapeOf, transposed } from './import-values.ts';
import type { Constant, Value } from './import-values.ts';

/** Numbers that shapes are computed with are few. */
const MAX_FOLDED = 4096;

/** Computes a node whose inputs are all known; shape arithmetic, mostly. Undefined if it is none of that. */
export function fold(node: ProtoNode, inputs: readonly Value[]): Constant | undefined {
  if (node.domain !== '') return undefined;
  if (node.operator === 'Shape') return shapeConstant(node, inputs);
  const constants = inputs.filter((input) => input.kind === 'constant');
  if (constants.length < inputs.length) return undefined;
  const [x] = constants;
  if (node.operator === 'Constant') return constantAttribute(node);
  if (x === undefined) return undefined;
  switch (node.operator) {
    case 'Identity':
      // Exporters store equal tensors once, and give the others their names this way.
      return { ...x, name: nameOf(node) };
    case 'Cast':
      return castTo(node, x);
    case 'Reshape':
    case 'Flatten':
    case 'Squeeze':
    case 'Unsqueeze':
      return reshaped(x, targetShape(node, x.shape, constants.slice(1)));
    case 'Transpose': {
      const permutation = intsAttribute(node, 'perm') ?? x.shape.map((_, i) => x.shape.length - 1 - i);
      return isPermutation(permutation, x.shape.length) ? transposed(x, permutation) : undefined;
    }
    case 'Concat':
      if (constants.some(({ shape }) => shape.length !== 1)) return undefined;
      checkFew(
        node,
        constants.reduce((sum, { shape }) => sum + elements(shape), 0),
      );
      return vector(
        node,
        constants.flatMap((part) => small(node, part)),
        constants.some(({ isFloat }) => isFloat),
      );
    case 'Gather':
      return gather(node, constants);
    case 'Slice':
      return slice(node, constants);
    case 'ConstantOfShape': {
      const shape = small(node, x);
      const value = node.attributes.get('value')?.tensor;
      const filler = value === undefined ? 0 : inlineNumbers(value)?.[0];
      const isShape = shape.every((size) => Number.isInteger(size) && size >= 0);
      if (!isShape || elements(shape) > MAX_FOLDED || filler === undefined) return undefined;
      return computed(nameOf(node), shape, new Array<number>(elements(shape)).fill(filler));
    }
    default:
      return arithmetic(node, constants);
  }
}

/** The constant of a name, computed from others if need be; undefined if it depends on the input. */
export function foldedConstant(index: OnnxIndex, name: string | undefined): Constant | undefined {
  if (name === undefined) return undefined;
  const { folded } = index;
  const open = new Set<string>();
  // Not by recursion: the names may lead back through the whole network.
  const stack = [name];
  for (let last = stack.at(-1); last !== undefined; last = stack.at(-1)) {
    const node = folded.has(last) ? undefined : index.producer(last);
    const inputs = node?.inputs.filter((input) => input !== '') ?? [];
    if (node !== undefined && !open.has(last)) {
      open.add(last);
      // What is open already is computed from itself, so it is no constant.
      for (const input of inputs) if (!open.has(input)) stack.push(input);
      continue;
    }
    stack.pop();
    if (folded.has(last)) continue;
    const constants = inputs.map((input) => folded.get(input)).filter((input) => input !== undefined);
    const isComplete = node !== undefined && constants.length === inputs.length;
    folded.set(last, isComplete ? fold(node, constants) : index.constant(last));
  }
  return folded.get(name);
}

/** The shape that a layout operator gives a tensor. Throws `unsupported` for what is not known or does not fit. */
export function targetShape(
  node: ProtoNode,
  shape: readonly number[],
  operands: readonly Value[],
): readonly number[] {
  const rank = shape.length;
  const [operand] = operands;
  const given = operand?.kind === 'constant' ? small(node, operand) : undefined;
  const fail = (): never => {
    throw hasNoCost(node, `it gives [${shape.join(', ')}] a shape that cannot be told`);
  };
  switch (node.operator) {
    case 'Flatten': {
      const axis = intAttribute(node, 'axis', 1);
      const at = axis < 0 ? axis + rank : axis;
      if (!(at >= 0 && at <= rank)) return fail();
      return [elements(shape.slice(0, at)), elements(shape.slice(at))];
    }
    case 'Squeeze': {
      const axes =
        given ?? intsAttribute(node, 'axes') ?? shape.flatMap((size, i) => (size === 1 ? [i] : []));
      const gone = new Set(axes.map((axis) => positive(axis, rank)));
      if ([...gone].some((axis) => axis === undefined || shape[axis] !== 1)) return fail();
      return shape.filter((_, i) => !gone.has(i));
    }
    case 'Unsqueeze': {
      const axes = given ?? intsAttribute(node, 'axes') ?? [];
      const total = rank + axes.length;
      const added = new Set(axes.map((axis) => positive(axis, total)));
      if (added.size !== axes.length || added.has(undefined) || total > 8) return fail();
      const rest = shape.values();
      return Array.from({ length: total }, (_, i) => (added.has(i) ? 1 : (rest.next().value ?? 1)));
    }
    default: {
      const wanted = given ?? intsAttribute(node, 'shape');
      if (wanted === undefined || wanted.length > 8) return fail();
      const copied = wanted.map((size, i) =>
        size === 0 && intAttribute(node, 'allowzero', 0) === 0 ? (shape[i] ?? 1) : size,
      );
      const rest = elements(copied.filter((size) => size !== -1));
      const filled = copied.map((size) => (size === -1 ? elements(shape) / rest : size));
      const fits = filled.every((size) => Number.isInteger(size) && size > 0);
      return fits && elements(filled) === elements(shape) ? filled : fail();
    }
  }
}

/** The numbers of a small constant. Throws `unsupported`. */
export function small(node: ProtoNode, constant: Constant): number[] {
  checkFew(node, elements(constant.shape));
  return Array.from(constant.numbers.all());
}

function checkFew(node: ProtoNode, count: number): void {
  if (count > MAX_FOLDED) throw hasNoCost(node, 'it computes with weights: let the exporter fold constants');
}

function shapeConstant(node: ProtoNode, [x]: readonly Value[]): Constant | undefined {
  if (x === undefined) return undefined;
  const shape = shapeOf(x);
  const end = intAttribute(node, 'end', shape.length);
  return vector(node, shape.slice(intAttribute(node, 'start', 0), end), false);
}

function constantAttribute(node: ProtoNode): Constant | undefined {
  const { float, int } = {
    float: node.attributes.get('value_float')?.float,
    int: node.attributes.get('value_int')?.int,
  };
  const single = float ?? int;
  if (single !== undefined) return computed(nameOf(node), [], [single], float !== undefined);
  const ints = intsAttribute(node, 'value_ints');
  return ints && vector(node, ints, false);
}

/** Cuts fractions off where integers are wanted; other types are all numbers here. */
function castTo(node: ProtoNode, x: Constant): Constant {
  const toFloat = isFloat(intAttribute(node, 'to', 1));
  if (toFloat || !x.isFloat) return { ...x, isFloat: toFloat };
  return computed(nameOf(node), x.shape, small(node, x).map(Math.trunc));
}

function gather(node: ProtoNode, [x, indices]: readonly Constant[]): Constant | undefined {
  if (x?.shape.length !== 1 || indices === undefined || intAttribute(node, 'axis', 0) !== 0) return undefined;
  const from = small(node, x);
  const numbers = small(node, indices).map((index) => from[index < 0 ? index + from.length : index]);
  if (numbers.some((number) => number === undefined)) return undefined;
  return computed(nameOf(node), indices.shape, numbers.map(Number), x.isFloat);
}

function slice(node: ProtoNode, [x, ...operands]: readonly Constant[]): Constant | undefined {
  if (x === undefined) return undefined;
  const [starts, ends, axes, steps] = operands.map((operand) => small(node, operand));
  const first = starts ?? intsAttribute(node, 'starts') ?? [];
  const last = ends ?? intsAttribute(node, 'ends') ?? [];
  const along = axes ?? intsAttribute(node, 'axes') ?? first.map((_, i) => i);
  const kept = x.shape.map((size) => Array.from({ length: Math.min(size, MAX_FOLDED) }, (_, i) => i));
  for (const [i, axis] of along.entries()) {
    const dimension = positive(axis, x.shape.length);
    const range = dimension === undefined ? undefined : kept[dimension];
    const [start, end, step = 1] = [first[i], last[i], steps?.[i]];
    if (dimension === undefined || range === undefined || start === undefined || end === undefined)
      return undefined;
    if (Math.abs(step) !== 1) return undefined;
    // Backwards, both ends are counted from the position behind them.
    kept[dimension] = step === 1 ? range.slice(start, end) : backwards(range, start, end);
  }
  const numbers = small(node, x);
  const offsets = kept.reduce<number[]>(
    (outer, range, axis) => outer.flatMap((offset) => range.map((i) => offset * (x.shape[axis] ?? 1) + i)),
    numbers.length === 0 ? [] : [0],
  );
  const shape = kept.map(({ length }) => length);
  return computed(
    nameOf(node),
    shape,
    offsets.map((offset) => numbers[offset] ?? NaN),
    x.isFloat,
  );
}

/** From `start` down to just above `end`. */
function backwards(range: readonly number[], start: number, end: number): number[] {
  const { length } = range;
  const from = Math.min(start < 0 ? start + length : start, length - 1);
  const to = end < 0 ? Math.max(end + length, -1) : end;
  return range.filter((i) => i <= from && i > to).toReversed();
}

type Operation = (a: number, b: number) => number;

const OPERATIONS: ReadonlyMap<string, Operation> = new Map<string, Operation>([
  ['Add', (a, b) => a + b],
  ['Sub', (a, b) => a - b],
  ['Mul', (a, b) => a * b],
  ['Div', (a, b) => a / b],
  ['Floor', Math.floor],
  ['Ceil', Math.ceil],
  ['Neg', (a) => -a],
  ['Sqrt', Math.sqrt],
]);

/** Element by element, of one shape or with a single number. */
function arithmetic(node: ProtoNode, [a, b = a]: readonly Constant[]): Constant | undefined {
  const operation = OPERATIONS.get(node.operator);
  if (operation === undefined || a === undefined || b === undefined) return undefined;
  const [left, right] = [small(node, a), small(node, b)];
  const shape = sameShape(a.shape, b.shape);
  if (shape === undefined) return undefined;
  const float = a.isFloat || b.isFloat;
  const numbers = Array.from({ length: elements(shape) }, (_, i) => {
    const result = operation(
      left[left.length === 1 ? 0 : i] ?? NaN,
      right[right.length === 1 ? 0 : i] ?? NaN,
    );
    return float ? result : Math.trunc(result);
  });
  return computed(nameOf(node), shape, numbers, float);
}

/** The shape of both, or that of the one beside a single number. */
function sameShape(a: readonly number[], b: readonly number[]): readonly number[] | undefined {
  const isSingle = (one: readonly number[], other: readonly number[]): boolean =>
    elements(one) === 1 && one.length <= other.length;
  if (isSingle(b, a) || a.join() === b.join()) return a;
  return isSingle(a, b) ? b : undefined;
}

function vector(node: ProtoNode, numbers: readonly number[], float: boolean): Constant {
  return computed(nameOf(node), [numbers.length], numbers, float);
}

function nameOf({ outputs }: ProtoNode): string {
  return outputs[0] ?? '';
}

export function isPermutation(permutation: readonly number[], rank: number): boolean {
  return permutation.length === rank && permutation.toSorted((a, b) => a - b).every((axis, i) => axis === i);
}
