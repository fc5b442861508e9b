import { KernelBuilder } from '../../codegen/builder.ts';
import type { Operand } from '../../codegen/builder.ts';
import type { Buffer, Kernel, Value } from '../../codegen/ir.ts';
import type { DeviceCaps } from '../../core/caps.ts';
import { kernelName } from '../family.ts';
import { DISPATCH_WIDTH } from '../gemm/shapes.ts';
import { groupBroadcast } from '../group-broadcast.ts';
import type { ConvFirstProblem } from '../problem.ts';
import { multiplyAddCycles } from '../rates.ts';
import type { PackedPlace } from './plan.ts';

/** Where the grouped convolution's weights lie in `packed`: [group, vector][ky][input][kx][lanes], then its bias. */
export interface SpatialLayout {
  readonly offset: number;
  readonly biasOffset: number | undefined;
  /** One behind the last float. */
  readonly end: number;
}

export function spatialLayout(problem: ConvFirstProblem, start: number): SpatialLayout {
  const { channels, groups, kernelHeight, kernelWidth, spatialBias } = problem;
  const offset = Math.ceil(start / 16) * 16;
  const weightsEnd = offset + (channels * channels * kernelHeight * kernelWidth) / groups;
  return {
    offset,
    biasOffset: spatialBias ? weightsEnd : undefined,
    end: weightsEnd + (spatialBias ? channels : 0),
  };
}

export function packSpatial(
  problem: ConvFirstProblem,
  layout: SpatialLayout,
  lanes: number,
  { names = '', start = 0 }: PackedPlace = {},
): Kernel {
  const { channels, groups, kernelHeight, kernelWidth, spatialBias } = problem;
  const width = channels / groups;
  const b = new KernelBuilder({
    name: kernelName('convfirst_pack', channels, groups, `k${kernelHeight}x${kernelWidth}`, `l${lanes}`),
    description: `packs weights [${channels}, ${width}, ${kernelHeight}, ${kernelWidth}] of a grouped convolution`,
    lanes,
    tasks: groups,
  });
  const weight = b.input(`spatial${names}`);
  const bias = spatialBias ? b.input(`spatial_bias${names}`) : undefined;
  const packed = b.output('packed');
  b.for(0, width, 1, (o) => {
    const output = b.add(b.mul(b.task, width), o);
    const block = b.mul(b.div(output, lanes), kernelHeight * width * kernelWidth * lanes);
    const lane = b.add(block, b.rem(output, lanes));
    b.for(0, width, 1, (i) => {
      for (let ky = 0; ky < kernelHeight; ky++) {
        for (let kx = 0; kx < kernelWidth; kx++) {
          const from = b.mul(b.add(b.mul(output, width), i), kernelHeight * kernelWidth);
          const to = b.add(lane, b.mul(i, kernelWidth * lanes));
          const value = b.loadScalar(weight, from, ky * kernelWidth + kx);
          b.store(packed, to, value, start + layout.offset + (ky * width * kernelWidth + kx) * lanes);
        }
      }
    });
    if (bias && layout.biasOffset !== undefined) {
      b.store(packed, output, b.loadScalar(bias, output), start + layout.biasOffset);
    }
  });
  return b.build();
}

/** A band of the map with zeros around it, and what the convolution makes of it. */
export interface SpatialBlock {
  readonly packed: Buffer;
  /** Where the block's weights begin in `packed`; default 0. */
  readonly weights?: Operand;
  readonly band: Buffer;
  /** Where the upper left window begins in `band`; default 0. */
  readonly start?: Operand;
  /** Floats from one row of the band to the next; pixels are inputPitch apart. */
  readonly rowPitch: number;
  readonly rows: Operand;
  /** Pixel p of the result is at p · stride. */
  readonly result: Buffer;
  readonly stride: number;
}

/**
 * Emits the grouped convolution of a band. A register tile holds `pixels` neighbouring outputs of a row for one vector
 * of a group, or of several groups; each input is broadcast once for all taps of a row of the kernel that meet it.
 */
export function emitSpatial(
  b: KernelBuilder,
  problem: ConvFirstProblem,
  layout: SpatialLayout,
  pixels: number,
  block: SpatialBlock,
): void {
  const { width, channels, groups, kernelHeight, kernelWidth, inputPitch } = problem;
  const { lanes } = b;
  const { packed, band, rowPitch, result, stride, weights: base = 0, start: corner0 = 0 } = block;
  const groupWidth = channels / groups;
  const vectorFloats = kernelHeight * groupWidth * kernelWidth * lanes;

  const loadInput = groupBroadcast(b, groupWidth);

  const emitTile = (row: Value, column: Value, vector: Value): void => {
    const channel = b.mul(vector, lanes);
    const firstInput = b.mul(b.div(channel, groupWidth), groupWidth);
    const accumulators = Array.from({ length: pixels }, () =>
      b.variable(
        layout.biasOffset === undefined
          ? b.vec(0)
          : b.loadVec(packed, b.add(channel, base), layout.biasOffset),
      ),
    );
    const pixel = b.add(b.mul(row, rowPitch), b.mul(column, inputPitch));
    const corner = b.add(b.add(pixel, firstInput), corner0);
    const weights = b.add(b.mul(vector, vectorFloats), base);
    for (let ky = 0; ky < kernelHeight; ky++) {
      b.for(0, groupWidth, 1, (i) => {
        const from = b.add(weights, b.mul(i, kernelWidth * lanes));
        const taps = Array.from({ length: kernelWidth }, (_, kx) =>
          b.loadVec(packed, from, layout.offset + (ky * groupWidth * kernelWidth + kx) * lanes),
        );
        const input = b.add(corner, i);
        for (let q = 0; q < pixels + kernelWidth - 1; q++) {
          const value = loadInput(band, input, ky * rowPitch + q * inputPitch);
          taps.forEach((tap, kx) => {
            const accumulator = accumulators[q - kx];
            accumulator?.set(b.fma(value, tap, accumulator.get()));
          });
        }
      });
    }
    const to = b.add(b.mul(b.add(b.mul(row, width), column), stride), channel);
    accumulators.forEach((accumulator, p) => b.store(result, to, accumulator.get(), p * stride));
  };

  b.for(0, block.rows, 1, (row) => {
    b.for(0, width, pixels, (start) => {
      // The last tile of a row overlaps the one before.
      const column = width % pixels === 0 ? start : b.min(start, width - pixels);
      b.for(0, channels / lanes, 1, (vector) => emitTile(row, column, vector));
    });
  });
}

/** Cycles before and after a register tile. */
const TILE_CYCLES = 30;

/** Cycles of one row of so many outputs. */
export function spatialCycles(
  { channels, groups, kernelHeight, kernelWidth, stride }: ConvFirstProblem,
  outWidth: number,
  { lanes, pixels }: { readonly lanes: number; readonly pixels: number },
  caps: DeviceCaps,
): number {
  const tiles = (channels / lanes) * Math.ceil(outWidth / pixels);
  const steps = (channels / groups) * kernelHeight;
  const cycle = multiplyAddCycles(lanes, caps);
  // One for each group of a vector, and what puts them together.
  const broadcast = Math.max(1, (lanes * groups) / channels);
  const products = pixels * kernelWidth;
  // Neighbours share what they read, unless each has pixels of its own.
  const inputs = stride > 1 ? products : pixels + kernelWidth;
  const loads = inputs * broadcast + kernelWidth;
  const instructions = products * (caps.fma ? 1 : 2) + loads + inputs * (broadcast - 1);
  const step = Math.max(products * cycle, loads / 2, instructions / DISPATCH_WIDTH) + 1;
  return tiles * (steps * step + TILE_CYCLES);
}
