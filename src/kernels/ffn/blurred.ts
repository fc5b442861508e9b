import type { KernelBuilder } from '../../codegen/builder.ts';
import type { Buffer, Value } from '../../codegen/ir.ts';
import { filter, neighbours } from '../blur-pool.ts';
import { groupBroadcast } from '../group-broadcast.ts';
import type { GroupBroadcast } from '../group-broadcast.ts';
import type { ConvFirstProblem } from '../problem.ts';
import type { SpatialLayout } from './spatial.ts';

/*
 * Blur and convolution both are sums over shifted maps, so they can change places: at output pixel p
 *
 *     blur(spatial ∗ x)[p] = Σ_b β_b Σ_k w_k x₀[ρ_b(p) + k] = Σ_k w_k X_k[p],   X_k[p] = Σ_b β_b x₀[ρ_b(p) + k],
 *
 * where ρ_b(p) is the pixel that tap b of the blur reads, reflected at the map's border, and x₀ is x with zeros around it.
 * X_k is x blurred around the pixel that tap k of the kernel meets. So the convolution is computed only where its result is
 * kept, a quarter of the work at stride 2, and X_0 is what the products want beside it.
 */

/** Floats of scratch memory: rows of x blurred along columns, for each row of the kernel; and X of one bundle for a tile. */
export function blurredScratch(
  { width, channels, groups, inputPitch, kernelHeight, kernelWidth }: ConvFirstProblem,
  { lanes, pixels }: { readonly lanes: number; readonly pixels: number },
): { readonly rowPitch: number; readonly rows: number; readonly shifted: number } {
  const rowPitch = (width + kernelWidth - 1) * inputPitch;
  const shifted = kernelHeight * kernelWidth * pixels * bundleOf(channels / groups, lanes);
  return { rowPitch, rows: kernelHeight * rowPitch, shifted };
}

/** Channels that are convolved together: a group, or the groups of a vector. */
function bundleOf(groupWidth: number, lanes: number): number {
  return Math.max(groupWidth, lanes);
}

/** Some rows of the output map, and where their convolved and their blurred channels go. */
export interface BlurredBlock {
  readonly packed: Buffer;
  readonly x: Buffer;
  readonly image: Value;
  readonly firstRow: Value;
  readonly rows: number;
  /** Pixel p's channels are at p · stride: those of the convolution, then those of x. */
  readonly result: Buffer;
  readonly stride: number;
}

/** Emits convolution and blur of some output rows; a register tile holds `pixels` neighbours for one vector. */
export function emitBlurred(
  b: KernelBuilder,
  problem: ConvFirstProblem,
  layout: SpatialLayout,
  pixels: number,
  block: BlurredBlock,
): void {
  const { width, channels, groups, stride } = problem;
  const outWidth = Math.ceil(width / stride);
  const { lanes } = b;
  const bundle = bundleOf(channels / groups, lanes);
  const scratch = blurredScratch(problem, { lanes, pixels });
  const loadInput = groupBroadcast(b, channels / groups);
  const rows = b.scratch('rows', scratch.rows);
  const shifted = b.scratch('shifted', scratch.shifted);
  clearMargins(b, problem, rows, scratch.rowPitch);
  b.for(0, block.rows, 1, (row) => {
    blurColumns(b, problem, block, b.mul(b.add(block.firstRow, row), stride), rows, scratch.rowPitch);
    b.for(0, outWidth, pixels, (start) => {
      // The last tile of a row overlaps the one before.
      const column = outWidth % pixels === 0 ? start : b.min(start, outWidth - pixels);
      const first = b.mul(b.add(b.mul(row, outWidth), column), block.stride);
      b.for(0, channels, bundle, (channel) => {
        const to = b.add(first, channel);
        const place = { channel, bundle, shifted, to, block };
        blurRows(b, problem, { ...place, rows, rowPitch: scratch.rowPitch, column, pixels });
        convolve(b, problem, layout, pixels, { ...place, loadInput });
      });
    });
  });
}

/** Zeros to the left and to the right of the map, which stay. */
function clearMargins(
  b: KernelBuilder,
  { width, inputPitch, kernelHeight, kernelWidth }: ConvFirstProblem,
  rows: Buffer,
  rowPitch: number,
): void {
  const margin = ((kernelWidth - 1) / 2) * inputPitch;
  const zero = b.vec(0);
  for (let ky = 0; ky < kernelHeight; ky++) {
    for (const start of [ky * rowPitch, ky * rowPitch + margin + width * inputPitch]) {
      b.for(0, margin, b.lanes, (i) => b.store(rows, i, zero, start));
    }
  }
}

/** For each row ky of the kernel: Σ_b β_b x₀[ρ_b + ky] over all columns. */
function blurColumns(
  b: KernelBuilder,
  { height, width, inputPitch, kernelHeight, kernelWidth }: ConvFirstProblem,
  { x, image }: BlurredBlock,
  centre: Value,
  rows: Buffer,
  rowPitch: number,
): void {
  const margin = ((kernelWidth - 1) / 2) * inputPitch;
  const read = neighbours(b, centre, height);
  for (let ky = 0; ky < kernelHeight; ky++) {
    const sources = read.map((at, i) => {
      const row = b.add(at, ky - (kernelHeight - 1) / 2);
      const isInside = b.and(b.le(0, row), b.lt(row, height));
      const onMap = b.min(b.max(row, 0), height - 1);
      return {
        start: b.mul(b.add(b.mul(image, height), onMap), width * inputPitch),
        // Both directions' divisions by 4.
        factor: b.vec(b.select(isInside, b.f32((i === 1 ? 2 : 1) / 16), b.f32(0))),
      };
    });
    b.for(0, width * inputPitch, b.lanes, (i) => {
      const sum = sources.reduce<Value | undefined>((total, { start, factor }) => {
        const value = b.loadVec(x, b.add(start, i));
        return total ? b.fma(value, factor, total) : b.mul(value, factor);
      }, undefined);
      if (sum) b.store(rows, i, sum, ky * rowPitch + margin);
    });
  }
}

interface Place {
  /** The bundle's first channel, and its width. */
  readonly channel: Value;
  readonly bundle: number;
  /** X, [ky][kx][pixel][channel of the bundle]. */
  readonly shifted: Buffer;
  /** Where the tile's first pixel's channels of the bundle go. */
  readonly to: Value;
  readonly block: BlurredBlock;
}

/** X of one bundle for a tile, and X_0 beside where the convolution's result goes. */
function blurRows(
  b: KernelBuilder,
  { width, channels, inputPitch, kernelHeight, kernelWidth, stride }: ConvFirstProblem,
  place: Place & {
    readonly rows: Buffer;
    readonly rowPitch: number;
    readonly column: Value;
    readonly pixels: number;
  },
): void {
  const { rows, rowPitch, column, channel, bundle, pixels, shifted, to, block } = place;
  b.for(0, pixels, 1, (pixel) => {
    const read = neighbours(b, b.mul(b.add(column, pixel), stride), width).map((at) =>
      b.add(b.mul(at, inputPitch), channel),
    );
    const target = b.mul(pixel, bundle);
    const beside = b.add(to, b.mul(pixel, block.stride));
    for (let ky = 0; ky < kernelHeight; ky++) {
      for (let kx = 0; kx < kernelWidth; kx++) {
        for (let c = 0; c < bundle; c += b.lanes) {
          const values = read.map((at) => b.loadVec(rows, at, ky * rowPitch + kx * inputPitch + c));
          const blurred = filter(b, values);
          b.store(shifted, target, blurred, (ky * kernelWidth + kx) * pixels * bundle + c);
          const isCentre = ky === (kernelHeight - 1) / 2 && kx === (kernelWidth - 1) / 2;
          if (isCentre) b.store(block.result, beside, blurred, channels + c);
        }
      }
    }
  });
}

/** Σ_k w_k X_k, and the bias. */
function convolve(
  b: KernelBuilder,
  { channels, groups, kernelHeight, kernelWidth }: ConvFirstProblem,
  layout: SpatialLayout,
  pixels: number,
  { channel, bundle, shifted, to, block, loadInput }: Place & { readonly loadInput: GroupBroadcast },
): void {
  const { packed } = block;
  const { lanes } = b;
  const groupWidth = channels / groups;
  const vectorFloats = kernelHeight * groupWidth * kernelWidth * lanes;
  b.for(0, bundle, lanes, (within) => {
    const output = b.add(channel, within);
    const accumulators = Array.from({ length: pixels }, () =>
      b.variable(layout.biasOffset === undefined ? b.vec(0) : b.loadVec(packed, output, layout.biasOffset)),
    );
    const weights = b.mul(b.div(output, lanes), vectorFloats);
    for (let ky = 0; ky < kernelHeight; ky++) {
      b.for(0, groupWidth, 1, (i) => {
        const from = b.add(weights, b.mul(i, kernelWidth * lanes));
        for (let kx = 0; kx < kernelWidth; kx++) {
          const tap = b.loadVec(packed, from, layout.offset + (ky * groupWidth * kernelWidth + kx) * lanes);
          const map = (ky * kernelWidth + kx) * pixels * bundle;
          accumulators.forEach((accumulator, p) => {
            const value = loadInput(shifted, i, map + p * bundle);
            accumulator.set(b.fma(value, tap, accumulator.get()));
          });
        }
      });
    }
    const target = b.add(to, within);
    accumulators.forEach((accumulator, p) =>
      b.store(block.result, target, accumulator.get(), p * block.stride),
    );
  });
}
