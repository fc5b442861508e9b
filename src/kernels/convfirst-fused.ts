import { KernelBuilder } from '../codegen/builder.ts';
import type { Buffer, Kernel, Value } from '../codegen/ir.ts';
import type { DeviceCaps } from '../core/caps.ts';
import { emitBandCopy } from './conv/band.ts';
import { bestOfEachKind, kernelName } from './family.ts';
import type { Emission, KernelFamily } from './family.ts';
import { emitBlock } from './ffn/block.ts';
import { blurredScratch, emitBlurred } from './ffn/blurred.ts';
import { oddLines, packBlock, planBlock } from './ffn/plan.ts';
import type { BlockConfig, BlockPlan, TwoProducts } from './ffn/plan.ts';
import { chunkSizes, rereadBytes, tileRowCycles } from './ffn/search.ts';
import { emitSpatial, packSpatial, spatialCycles, spatialLayout } from './ffn/spatial.ts';
import type { SpatialLayout } from './ffn/spatial.ts';
import { makespan } from './gemm/partition.ts';
import { tileShapes, unrollFor } from './gemm/shapes.ts';
import type { TileShape } from './gemm/shapes.ts';
import { suitsGroups } from './group-broadcast.ts';
import { productInputs } from './problem.ts';
import type { ConvFirstProblem } from './problem.ts';

export interface ConvFirstConfig extends BlockConfig {
  /** Rows of the output map that a task computes; they divide its height. */
  readonly bandRows: number;
  /** Row tiles that go through both products at a time. */
  readonly rowTiles: number;
  /** Neighbouring outputs of the grouped convolution in registers. */
  readonly pixels: number;
}

/**
 * ConvFirst blocks, band by band of the map: the band and the rows around it are copied to scratch memory with zeros
 * where the map ends, the grouped convolution puts its result beside it, and both products read that and
 * write the only thing that reaches memory. What the convolution needs from neighbouring bands is read again, never
 * computed again. With a stride, rows of x are blurred on their way into scratch memory (`ffn/blurred.ts`).
 */
export const convFirstFused: KernelFamily<ConvFirstProblem, ConvFirstConfig> = {
  name: 'convfirst-fused',
  op: 'convfirst',
  configs,
  estimate,
  emit,
};

/** Candidates a lane count. */
const OFFERED = 6;

function configs(problem: ConvFirstProblem, caps: DeviceCaps): ConvFirstConfig[] {
  const { channels, groups, inputPitch, outputPitch } = problem;
  const lanes = caps.lanes.filter(
    (count) =>
      suitsGroups(count, channels / groups) &&
      [channels, inputPitch, outputPitch].every((size) => size % count === 0),
  );
  return lanes.flatMap((count) =>
    bestOfEachKind(
      tilings(problem, count, caps),
      OFFERED,
      (config) => estimate(problem, config, caps),
      (config) => `${config.tileRows} ${config.tileVectors} ${config.rowTiles > 2}`,
    ),
  );
}

function tilings(problem: ConvFirstProblem, lanes: number, caps: DeviceCaps): ConvFirstConfig[] {
  const { hidden, outputPitch, kernelWidth } = problem;
  const { height, width } = outputOf(problem);
  const found: ConvFirstConfig[] = [];
  // Narrow vectors leave no room for a broadcast within an instruction: measured, a tile of 7×4 spills.
  const fits = ({ rows, vectors }: TileShape): boolean => rows * vectors + vectors < caps.vectorRegisters;
  const hiddenVectors = Math.ceil(hidden / lanes);
  const free = Math.min(16, caps.vectorRegisters - kernelWidth - 3);
  const pixels = Math.max(1, Math.min(width, free));
  for (const bandRows of [1, 2, 4, 7, 8, 14, 16].filter((rows) => height % rows === 0)) {
    for (const { rows, vectors } of tileShapes(caps.vectorRegisters, caps.fma).filter(fits)) {
      const tileRows = Math.min(rows, bandRows * width);
      const tileVectors = Math.min(vectors, Math.max(hiddenVectors, outputPitch / lanes));
      const tiles = Math.ceil((bandRows * width) / tileRows);
      for (const chunkPanels of chunkSizes(Math.ceil(hiddenVectors / tileVectors), tileVectors * lanes)) {
        for (const rowTiles of new Set([1, 2, 4, 8].map((count) => Math.min(count, tiles)))) {
          const tile = { lanes, tileRows, tileVectors, chunkPanels, unroll: unrollFor(caps) };
          const config = { ...tile, bandRows, rowTiles, pixels };
          if (scratchBytes(problem, config) <= caps.l2Bytes / 2) found.push(config);
        }
      }
    }
  }
  return found;
}

function productsOf(problem: ConvFirstProblem): TwoProducts {
  return { ...problem, inputs: productInputs(problem) };
}

function planOf(problem: ConvFirstProblem, config: BlockConfig): BlockPlan {
  // Lanes divide channels, so there is no padding in between.
  return planBlock(productsOf(problem), productInputs(problem), config);
}

/** Height and width of the output map. */
function outputOf({ height, width, stride }: ConvFirstProblem) {
  return { height: Math.ceil(height / stride), width: Math.ceil(width / stride) };
}

/** Sizes of a task's copy of x, and floats from pixel to pixel of what the products read. */
function bandOf(problem: ConvFirstProblem, bandRows: number) {
  const { width, kernelHeight, kernelWidth, inputPitch } = problem;
  const bandWidth = width + kernelWidth - 1;
  return {
    bandWidth,
    bandHeight: bandRows + kernelHeight - 1,
    rowPitch: bandWidth * inputPitch,
    stride: oddLines(productInputs(problem)),
  };
}

function scratchBytes(problem: ConvFirstProblem, config: ConvFirstConfig): number {
  const { hiddenStride, fullChunks } = planOf(problem, config);
  const { bandHeight, rowPitch, stride } = bandOf(problem, config.bandRows);
  const blurred = blurredScratch(problem, config);
  const before = problem.stride > 1 ? blurred.rows + blurred.shifted : bandHeight * rowPitch;
  const perRow = hiddenStride + (fullChunks > 0 ? problem.outputPitch : 0);
  const pixels = config.bandRows * outputOf(problem).width;
  return 4 * (before + pixels * stride + config.rowTiles * config.tileRows * perRow);
}

/** Cycles to add three vectors and to store the sum. */
const BLUR_CYCLES = 2;

function estimate(problem: ConvFirstProblem, config: ConvFirstConfig, caps: DeviceCaps): number {
  const { batch, inputPitch, outputPitch, stride } = problem;
  const { tileRows, bandRows } = config;
  const { height, width } = outputOf(problem);
  const plan = planOf(problem, config);
  const products = productsOf(problem);
  const tile = (rows: number): number => {
    const { up, down } = tileRowCycles(products, plan, config, caps, rows);
    return up + down;
  };
  const rows = bandRows * width;
  const lastRows = rows % tileRows;
  const dense = Math.floor(rows / tileRows) * tile(tileRows) + (lastRows > 0 ? tile(lastRows) : 0);
  const spatial = bandRows * (spatialCycles(problem, width, config, caps) + inputCycles(problem, config));
  const readRows = stride * (bandRows - 1) + problem.kernelHeight + (stride > 1 ? 2 : 0);
  const weightBytes = 4 * plan.packedFloats;
  const grid = {
    rowTiles: (batch * height) / bandRows,
    panels: 1,
    cycles: () => dense + spatial,
    rowBytes: 4 * (readRows * problem.width * inputPitch + rows * outputPitch),
    rowBlockBytes: 0,
    panelBytes: rereadBytes(weightBytes, caps),
  };
  return caps.threads * makespan(grid, { rowTiles: 1, panels: 1 }, caps) + weightBytes / 8;
}

/** Cycles to copy x for one row of the output map, or to blur it for all taps of the kernel. */
function inputCycles(problem: ConvFirstProblem, { lanes, bandRows, pixels }: ConvFirstConfig): number {
  const { channels, kernelHeight, kernelWidth, stride } = problem;
  const { rowPitch, bandHeight } = bandOf(problem, bandRows);
  if (stride === 1) return (2 * bandHeight * rowPitch) / lanes / bandRows;
  const outWidth = Math.ceil(outputOf(problem).width / pixels) * pixels;
  const shifted = kernelHeight * kernelWidth * outWidth * channels;
  return (BLUR_CYCLES * (kernelHeight * rowPitch + shifted)) / lanes;
}

function emit(problem: ConvFirstProblem, config: ConvFirstConfig): Emission {
  const plan = planOf(problem, config);
  const layout = spatialLayout(problem, plan.packedFloats);
  return {
    main: [emitMain(problem, config, plan, layout)],
    prepare: [packSpatial(problem, layout, config.lanes), ...packBlock(productsOf(problem), plan)],
    packedFloats: layout.end,
    tempFloats: 0,
  };
}

function emitMain(
  problem: ConvFirstProblem,
  config: ConvFirstConfig,
  plan: BlockPlan,
  layout: SpatialLayout,
): Kernel {
  const { batch, channels, hidden, outputs, outputPitch, epilogue } = problem;
  const { lanes, tileRows, tileVectors, bandRows, rowTiles } = config;
  const { height, width } = outputOf(problem);
  const { stride } = bandOf(problem, bandRows);
  const b = new KernelBuilder({
    name: kernelName(
      `convfirst_${batch}x${problem.height}x${problem.width}x${channels}_${hidden}_${outputs}`,
      ...(problem.stride > 1 ? [`s${problem.stride}`] : []),
      `t${tileRows}x${tileVectors}`,
      `l${lanes}`,
    ),
    description: `${problem.kernelHeight}×${problem.kernelWidth} in ${problem.groups} groups, stride ${problem.stride}, ${channels} → ${hidden}, ${problem.activation} → ${outputs}, bands of ${bandRows} rows`,
    lanes,
    tasks: (batch * height) / bandRows,
  });
  const x = b.input('x');
  const packed = b.input('packed');
  const residual = epilogue.residual ? b.input('residual') : undefined;
  const y = b.output('y');
  const result = b.scratch('spatial', bandRows * width * stride);
  emitBeforeProducts(b, problem, config, layout, { x, packed, result, stride });

  // Pixels of a band are neighbours in memory, so they are rows of a matrix.
  const rows = bandRows * width;
  const fullTiles = Math.floor(rows / tileRows);
  const lastRows = rows % tileRows;
  const passes = Math.ceil((fullTiles + (lastRows > 0 ? 1 : 0)) / rowTiles);
  const taskRow = b.mul(b.task, rows);
  b.for(0, passes, 1, (pass) => {
    const firstTile = b.mul(pass, rowTiles);
    const wholeTiles = b.min(b.sub(b.i32(fullTiles), firstTile), rowTiles);
    const rowAt = (tile: Value): Value => b.mul(b.add(firstTile, tile), tileRows);
    emitBlock(b, productsOf(problem), config, plan, {
      packed,
      tiles: rowTiles,
      forEachTile: (body) => {
        b.for(0, wholeTiles, 1, (tile) => body(tile, tileRows));
        if (lastRows > 0) b.if(b.eq(pass, passes - 1), () => body(wholeTiles, lastRows));
      },
      left: (tile) => ({ buffer: result, base: b.mul(rowAt(tile), stride), rowOffset: (r) => r * stride }),
      outputAt: (tile) => b.mul(b.add(taskRow, rowAt(tile)), outputPitch),
      residual,
      y,
    });
  });
  return b.build();
}

/** What the products read of a band of output rows: the convolution's result, and with a stride x beside it. */
function emitBeforeProducts(
  b: KernelBuilder,
  problem: ConvFirstProblem,
  { bandRows, pixels }: ConvFirstConfig,
  layout: SpatialLayout,
  buffers: { readonly x: Buffer; readonly packed: Buffer; readonly result: Buffer; readonly stride: number },
): void {
  const { channels, inputPitch, kernelHeight, kernelWidth } = problem;
  const { x, packed, result, stride } = buffers;
  const bands = outputOf(problem).height / bandRows;
  const image = b.div(b.task, bands);
  const firstRow = b.mul(b.rem(b.task, bands), bandRows);
  if (problem.stride > 1) {
    emitBlurred(b, problem, layout, pixels, { packed, x, image, firstRow, rows: bandRows, result, stride });
    return;
  }
  const { bandWidth, bandHeight, rowPitch } = bandOf(problem, bandRows);
  const band = b.scratch('band', bandHeight * rowPitch);
  const copied = {
    groups: 1,
    groupInputs: inputPitch,
    bandWidth,
    pixelPitch: inputPitch,
    rowPitch,
    planeFloats: 0,
  };
  emitBandCopy(b, { ...problem, inputs: channels }, copied, 1, x, band, {
    image,
    firstRow: b.sub(firstRow, (kernelHeight - 1) / 2),
    firstColumn: b.i32(-(kernelWidth - 1) / 2),
    rows: b.i32(bandHeight),
    channel: b.i32(0),
  });
  emitSpatial(b, problem, layout, pixels, { packed, band, rowPitch, rows: bandRows, result, stride });
}
