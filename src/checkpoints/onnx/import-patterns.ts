import { elements } from '../../graph/graph.ts';
import type { Activation } from '../../kernels/problem.ts';
import { foldedConstant } from './import-fold.ts';
import { intAttribute, intsAttribute, textAttribute } from './import-index.ts';
import type { OnnxIndex } from './import-index.ts';
import type { ProtoNode } from './import-proto.ts';

/*
 * What exporters take apart: activations and layer norms come as chains of element-wise operators. Each pattern looks
 * back from the last one of its nodes.
 */

/** An activation of `input`. */
export interface ActivationPattern {
  readonly input: string;
  readonly activation: Activation;
}

/** Layer norm of `input` along one of its dimensions, without weights. */
export interface NormPattern {
  readonly input: string;
  /** As the file counts; negative ones from the end. */
  readonly axis: number;
  readonly epsilon: number;
}

/** Pixels around a map. */
export type Pads = readonly [top: number, left: number, bottom: number, right: number];

/** Borders in front of the triangle filter: anti-aliased subsampling. */
export interface BlurPattern {
  readonly input: string;
  readonly stride: number;
  /** Pixels that are reflected, and those that repeat the outermost ones. */
  readonly borders: Readonly<Record<'reflect' | 'edge', Pads>>;
}

/** A constant border of zeros in front of a convolution. */
export interface PadPattern {
  readonly input: string;
  readonly pads: Pads;
}

/** Exporters round constants to float32, PyTorch's first ones even √2 to four digits. */
const TOLERANCE = 1e-4;

/** SiLU, x · sigmoid(x), or GELU, x/2 · (1 + erf(x/√2)), with its factors in any order. */
export function matchActivation(index: OnnxIndex, node: ProtoNode): ActivationPattern | undefined {
  if (node.operator !== 'Mul' || node.domain !== '') return undefined;
  for (const [x, gate] of bothWays(node)) {
    const sigmoid = index.producerOf(gate, 'Sigmoid');
    if (sigmoid !== undefined && sigmoid.inputs[0] === x) return { input: x, activation: 'silu' };
  }
  return matchGelu(index, node);
}

function matchGelu(index: OnnxIndex, node: ProtoNode): ActivationPattern | undefined {
  for (const [a, b, c] of productFactors(index, node).flatMap(orders)) {
    if (isNear(index.scalar(a), 0.5) && isErfSum(index, c, b)) return { input: b, activation: 'gelu' };
  }
  return undefined;
}

/** Whether a value is 1 + erf(x/√2). */
function isErfSum(index: OnnxIndex, name: string, x: string): boolean {
  const sum = index.producerOf(name, 'Add');
  if (sum === undefined) return false;
  return bothWays(sum).some(([erf, one]) => {
    const scaled = index.producerOf(index.producerOf(erf, 'Erf')?.inputs[0], 'Div', 'Mul');
    const factor = index.scalar(scaled?.inputs[1]);
    const wanted = scaled?.operator === 'Div' ? Math.SQRT2 : Math.SQRT1_2;
    return isNear(index.scalar(one), 1) && scaled?.inputs[0] === x && isNear(factor, wanted);
  });
}

/** All orders of three factors; none of another number. */
function orders([a, b, c]: readonly string[]): readonly (readonly [string, string, string])[] {
  if (a === undefined || b === undefined || c === undefined) return [];
  return [
    [a, b, c],
    [a, c, b],
    [b, a, c],
    [b, c, a],
    [c, a, b],
    [c, b, a],
  ];
}

/** The three factors of (a · b) · c and a · (b · c): both readings, where both operands are products. */
function productFactors(index: OnnxIndex, node: ProtoNode): readonly (readonly string[])[] {
  return bothWays(node).flatMap(([inner, outer]) => {
    const product = index.producerOf(inner, 'Mul');
    return product === undefined ? [] : [[...product.inputs, outer]];
  });
}

/** (x − mean(x)) / √(mean((x − mean(x))²) + ε). */
export function matchLayerNorm(index: OnnxIndex, node: ProtoNode): NormPattern | undefined {
  if (node.operator !== 'Div' || node.domain !== '') return undefined;
  const [difference, deviation] = node.inputs;
  const centred = index.producerOf(difference, 'Sub');
  const variance = index.producerOf(index.producerOf(deviation, 'Sqrt')?.inputs[0], 'Add');
  if (centred === undefined || variance === undefined) return undefined;
  const [x, meanName] = centred.inputs;
  const mean = index.producerOf(meanName, 'ReduceMean');
  const axis = onlyAxis(index, mean);
  if (x === undefined || mean?.inputs[0] !== x || axis === undefined) return undefined;
  for (const [name, epsilonName] of bothWays(variance)) {
    const squares = index.producerOf(name, 'ReduceMean');
    const epsilon = index.scalar(epsilonName);
    const square = index.producerOf(squares?.inputs[0], 'Pow', 'Mul');
    if (epsilon === undefined || square === undefined || onlyAxis(index, squares) !== axis) continue;
    const [base, exponent] = square.inputs;
    const isSquare = square.operator === 'Pow' ? index.scalar(exponent) === 2 : exponent === base;
    // The difference may be computed twice, once for each use.
    const isSame = base === difference || sameInputs(index.producerOf(base, 'Sub'), centred);
    if (isSquare && isSame) return { input: x, axis, epsilon };
  }
  return undefined;
}

function sameInputs(a: ProtoNode | undefined, b: ProtoNode): boolean {
  return a?.inputs.length === b.inputs.length && a.inputs.every((name, i) => name === b.inputs[i]);
}

function onlyAxis(index: OnnxIndex, node: ProtoNode | undefined): number | undefined {
  if (node === undefined) return undefined;
  return numbersOf(index, node, 'axes', 1)?.[0];
}

/** So many numbers of the second input, or of the attribute that it was in older opsets; undefined for another count. */
function numbersOf(
  index: OnnxIndex,
  node: ProtoNode,
  attribute: string,
  count: number,
): ArrayLike<number> | undefined {
  const constant = foldedConstant(index, node.inputs[1]);
  if (constant !== undefined) return elements(constant.shape) === count ? constant.numbers.all() : undefined;
  const numbers = intsAttribute(node, attribute);
  return numbers?.length === count ? numbers : undefined;
}

const TRIANGLE = [1, 2, 1, 2, 4, 2, 1, 2, 1];
const NO_PADS: Pads = [0, 0, 0, 0];

/** A depthwise convolution with the triangle filter behind a Pad of either kind, or one of each. */
export function matchBlurPool(index: OnnxIndex, node: ProtoNode): BlurPattern | undefined {
  if (node.operator !== 'Conv' || node.domain !== '' || node.inputs.length > 2) return undefined;
  const weight = index.constant(node.inputs[1]);
  const [outputs = 0, inputs, height, width] = weight?.shape ?? [];
  const [stride = 1, strideWidth = stride] = intsAttribute(node, 'strides') ?? [];
  const isDepthwise = inputs === 1 && intAttribute(node, 'group', 1) === outputs;
  if (weight?.numbers.isKnown !== true || !isDepthwise || height !== 3 || width !== 3) return undefined;
  const isDense = (intsAttribute(node, 'dilations') ?? []).every((dilation) => dilation === 1);
  if (stride !== strideWidth || stride < 1 || !isDense) return undefined;
  const pads = intsAttribute(node, 'pads') ?? [];
  const isPadded = !['NOTSET', 'VALID'].includes(textAttribute(node, 'auto_pad', 'NOTSET'));
  if (isPadded || pads.some((pad) => pad !== 0)) return undefined;
  const borders: Record<string, Pads> = {};
  let input = node.inputs[0] ?? '';
  for (let pad = index.producerOf(input, 'Pad'); pad !== undefined; pad = index.producerOf(input, 'Pad')) {
    const mode = textAttribute(pad, 'mode', 'constant');
    const sides = spatialPads(index, pad);
    if (!['reflect', 'edge'].includes(mode) || Object.hasOwn(borders, mode) || sides === undefined)
      return undefined;
    borders[mode] = sides;
    input = pad.inputs[0] ?? '';
  }
  if (input === node.inputs[0]) return undefined;
  const taps = Array.from(weight.numbers.all());
  if (!taps.every((tap, i) => isNear(tap * 16, TRIANGLE[i % 9] ?? NaN))) return undefined;
  const { reflect = NO_PADS, edge = NO_PADS } = borders;
  return { input, stride, borders: { reflect, edge } };
}

/** A border of zeros that a convolution or an average that counts it can take over. */
export function matchZeroPad(index: OnnxIndex, name: string | undefined): PadPattern | undefined {
  const pad = index.producerOf(name, 'Pad');
  if (pad === undefined || textAttribute(pad, 'mode', 'constant') !== 'constant') return undefined;
  const value = pad.inputs[2] === undefined || pad.inputs[2] === '' ? 0 : index.scalar(pad.inputs[2]);
  const pads = spatialPads(index, pad);
  const [input] = pad.inputs;
  if ((value ?? NaN) + (pad.attributes.get('value')?.float ?? 0) !== 0) return undefined;
  return pads === undefined || input === undefined ? undefined : { input, pads };
}

/** Rows and columns that a Pad of [N, C, H, W] adds; undefined if it adds others too, or takes some away. */
function spatialPads(index: OnnxIndex, pad: ProtoNode): Pads | undefined {
  const all = Array.from(numbersOf(index, pad, 'pads', 8) ?? []);
  if (all.length !== 8 || (pad.inputs[3] ?? '') !== '') return undefined;
  if (!all.every((size) => Number.isInteger(size) && size >= 0)) return undefined;
  const [n0, c0, top = 0, left = 0, n1, c1, bottom = 0, right = 0] = all;
  return n0 === 0 && c0 === 0 && n1 === 0 && c1 === 0 ? [top, left, bottom, right] : undefined;
}

function bothWays({ inputs: [a = '', b = ''] }: ProtoNode): readonly [string, string][] {
  return [
    [a, b],
    [b, a],
  ];
}

function isNear(value: number | undefined, wanted: number): boolean {
  return value !== undefined && Math.abs(value - wanted) <= TOLERANCE * Math.abs(wanted);
}
