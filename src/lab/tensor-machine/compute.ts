import { invalidArgument } from '../../core/errors.ts';
import { at } from '../../graph/tensors.ts';
import type { Operator } from './machine.ts';
import { emptyBlock } from './memory.ts';
import type { Block } from './memory.ts';
import { BLUR_STRIDE, extent } from './regions.ts';
import type { Range, Region } from './regions.ts';

/** A block computed, and the operations that products and convolutions took. */
export interface Computed {
  readonly block: Block;
  readonly operations: number;
}

/** What an operator means, in float64 and one element after the other. Whole: the sizes of the first input's tensor. */
export function compute(
  operator: Operator,
  inputs: readonly Block[],
  output: Region,
  whole: readonly number[],
): Computed {
  const block = emptyBlock(output);
  const [x, y] = inputs;
  const free = (fill: (x: Block, index: number) => number): Computed => {
    for (let i = 0; i < block.values.length; i++) block.values[i] = fill(need(x, operator), i);
    return { block, operations: 0 };
  };
  switch (operator) {
    case 'zero':
      block.values.fill(0);
      return { block, operations: 0 };
    case 'copy':
      return free(({ values }, i) => at(values, i));
    case 'relu':
      return free(({ values }, i) => Math.max(0, at(values, i)));
    case 'silu':
      return free(({ values }, i) => at(values, i) * sigmoid(at(values, i)));
    case 'sigmoid':
      return free(({ values }, i) => sigmoid(at(values, i)));
    case 'add': {
      const { values: added } = need(y, operator);
      return free(({ values }, i) => at(values, i) + at(added, i % added.length));
    }
    case 'multiply': {
      const { values: gates } = need(y, operator);
      const [images, channels] = [size(output, 0), size(output, 3)];
      const pixels = block.values.length / (images * channels);
      const gate = (i: number): number =>
        at(gates, Math.floor(i / (pixels * channels)) * channels + (i % channels));
      return free(({ values }, i) => at(values, i) * gate(i));
    }
    case 'product':
      return { block, operations: product(need(x, operator), need(y, operator), block) };
    case 'grouped-conv':
      return { block, operations: groupedConv(need(x, operator), need(y, operator), block) };
    case 'global-pool':
      globalPool(need(x, operator), block);
      return { block, operations: 0 };
    case 'blur-pool':
      blurPool(need(x, operator), block, whole);
      return { block, operations: 0 };
    case 'concat':
      concat(need(x, operator), need(y, operator), block);
      return { block, operations: 0 };
  }
}

/** [rows, J] × [J, L] → [rows, L]. Returns 2 · rows · J · L. */
function product(x: Block, matrix: Block, y: Block): number {
  const [depth, columns] = [size(matrix.region, 0), size(matrix.region, 1)];
  let operations = 0;
  for (let i = 0; i < y.values.length; i++) {
    const row = Math.floor(i / columns);
    let sum = 0;
    for (let j = 0; j < depth; j++) {
      sum += at(x.values, row * depth + j) * at(matrix.values, j * columns + (i % columns));
      operations += 2;
    }
    y.values[i] = sum;
  }
  return operations;
}

/** Returns two operations a tap and input channel; taps beside the map, where there are zeros, count as others do. */
function groupedConv(x: Block, kernels: Block, y: Block): number {
  const channels = axis(x.region, 3);
  const [width, kh, kw] = [size(kernels.region, 1), size(kernels.region, 2), size(kernels.region, 3)];
  let operations = 0;
  forEachPosition(y.region, (n, row, column, c, i) => {
    const first = Math.floor(c / width) * width - channels.start;
    let sum = 0;
    for (let tap = 0; tap < kh * kw; tap++) {
      const pixel = pixelIndex(
        x.region,
        n,
        row + Math.floor(tap / kw) - (kh >> 1),
        column + (tap % kw) - (kw >> 1),
      );
      for (let g = 0; g < width; g++) {
        operations += 2;
        if (pixel === undefined) continue;
        const weight = ((c - axis(kernels.region, 0).start) * width + g) * kh * kw + tap;
        sum += at(x.values, pixel * extent(channels) + first + g) * at(kernels.values, weight);
      }
    }
    y.values[i] = sum;
  });
  return operations;
}

function globalPool(x: Block, y: Block): void {
  const [images, channels] = [size(y.region, 0), size(y.region, 1)];
  const pixels = x.values.length / (images * channels);
  for (let i = 0; i < y.values.length; i++) {
    const first = Math.floor(i / channels) * pixels * channels + (i % channels);
    let sum = 0;
    for (let pixel = 0; pixel < pixels; pixel++) sum += at(x.values, first + pixel * channels);
    y.values[i] = sum / pixels;
  }
}

function blurPool(x: Block, y: Block, [, height = 0, width = 0]: readonly number[]): void {
  const channels = size(x.region, 3);
  forEachPosition(y.region, (n, row, column, c, i) => {
    let sum = 0;
    for (let dy = -1; dy <= 1; dy++) {
      for (let dx = -1; dx <= 1; dx++) {
        const from = [
          reflect(row * BLUR_STRIDE + dy, height),
          reflect(column * BLUR_STRIDE + dx, width),
        ] as const;
        const pixel = pixelIndex(x.region, n, ...from);
        if (pixel === undefined)
          throw invalidArgument('The input of blur-pool needs a halo of one row and column.');
        const value = at(x.values, pixel * channels + c - axis(x.region, 3).start);
        sum += (value * (2 - Math.abs(dy)) * (2 - Math.abs(dx))) / 16;
      }
    }
    y.values[i] = sum;
  });
}

function concat(x: Block, y: Block, z: Block): void {
  const [first, second] = [size(x.region, 3), size(y.region, 3)];
  for (let i = 0; i < z.values.length; i++) {
    const pixel = Math.floor(i / (first + second));
    const c = i % (first + second);
    z.values[i] = c < first ? at(x.values, pixel * first + c) : at(y.values, pixel * second + c - first);
  }
}

/** All positions [n, row, column, channel] of a region, with their index in its block. */
function forEachPosition(
  region: Region,
  visit: (n: number, row: number, column: number, c: number, index: number) => void,
): void {
  let index = 0;
  const [images, rows, columns, channels] = [
    axis(region, 0),
    axis(region, 1),
    axis(region, 2),
    axis(region, 3),
  ];
  for (let n = images.start; n < images.stop; n++) {
    for (let row = rows.start; row < rows.stop; row++) {
      for (let column = columns.start; column < columns.stop; column++) {
        for (let c = channels.start; c < channels.stop; c++) visit(n, row, column, c, index++);
      }
    }
  }
}

/** Index of a pixel within a block [N, H, W, C], undefined if the block does not hold it. */
function pixelIndex(region: Region, n: number, row: number, column: number): number | undefined {
  const [images, rows, columns] = [axis(region, 0), axis(region, 1), axis(region, 2)];
  const outside = row < rows.start || row >= rows.stop || column < columns.start || column >= columns.stop;
  if (outside) return undefined;
  return ((n - images.start) * extent(rows) + row - rows.start) * extent(columns) + column - columns.start;
}

/** Position −1 is 1, `length` is length − 2; a map of one pixel repeats it. */
function reflect(position: number, length: number): number {
  if (length === 1) return 0;
  if (position < 0) return -position;
  return position < length ? position : 2 * (length - 1) - position;
}

function sigmoid(value: number): number {
  return 1 / (1 + Math.exp(-value));
}

function axis(region: Region, index: number): Range {
  const range = region[index];
  if (range === undefined) throw invalidArgument(`A tensor with at least ${index + 1} axes is needed.`);
  return range;
}

function size(region: Region, index: number): number {
  return extent(axis(region, index));
}

function need(block: Block | undefined, operator: Operator): Block {
  if (block === undefined) throw invalidArgument(`The operator ${operator} has too few inputs.`);
  return block;
}
