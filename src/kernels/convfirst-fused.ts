import { KernelBuilder } from '../codegen/builder.ts';
import type { Kernel, Value } from '../codegen/ir.ts';
import type { DeviceCaps } from '../core/caps.ts';
import { emitBandCopy } from './conv/band.ts';
import { kernelName } from './family.ts';
import type { Emission, KernelFamily } from './family.ts';
import { emitBlock } from './ffn/block.ts';
import { oddLines, packBlock, planBlock } from './ffn/plan.ts';
import type { BlockConfig, BlockPlan, TwoProducts } from './ffn/plan.ts';
import { chunkSizes, rereadBytes, tileRowCycles } from './ffn/search.ts';
import { emitSpatial, packSpatial, spatialLayout } from './ffn/spatial.ts';
import type { SpatialLayout } from './ffn/spatial.ts';
import { paddedDepth } from './gemm/panels.ts';
import { makespan } from './gemm/partition.ts';
import { tileShapes, unrollFor } from './gemm/shapes.ts';
import type { TileShape } from './gemm/shapes.ts';
import type { ConvFirstProblem } from './problem.ts';

export interface ConvFirstConfig extends BlockConfig {
  /** Rows of the map that a task computes; they divide its height. */
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
 * computed again.
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
  const sizes = [channels / groups, inputPitch, outputPitch];
  const lanes = caps.lanes.filter((count) => sizes.every((size) => size % count === 0));
  return lanes.flatMap((count) => {
    const ranked = tilings(problem, count, caps).map((config) => ({
      config,
      cost: estimate(problem, config, caps),
    }));
    ranked.sort((a, b) => a.cost - b.cost);
    const kinds = new Map<string, ConvFirstConfig>();
    for (const { config } of ranked) {
      const kind = `${config.tileRows} ${config.tileVectors} ${config.rowTiles > 2}`;
      if (!kinds.has(kind)) kinds.set(kind, config);
    }
    return [...kinds.values()].slice(0, OFFERED);
  });
}

function tilings(problem: ConvFirstProblem, lanes: number, caps: DeviceCaps): ConvFirstConfig[] {
  const { height, width, hidden, outputPitch, kernelWidth } = problem;
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

function productsOf({ channels, ...problem }: ConvFirstProblem): TwoProducts {
  return { ...problem, inputs: channels };
}

function planOf(problem: ConvFirstProblem, config: BlockConfig): BlockPlan {
  return planBlock(productsOf(problem), paddedDepth(problem.channels, problem.inputPitch), config);
}

/** Sizes of a task's scratch memory. */
function bandOf(
  { width, kernelHeight, kernelWidth, inputPitch, channels }: ConvFirstProblem,
  bandRows: number,
) {
  const bandWidth = width + kernelWidth - 1;
  return {
    bandWidth,
    bandHeight: bandRows + kernelHeight - 1,
    rowPitch: bandWidth * inputPitch,
    stride: oddLines(channels),
  };
}

function scratchBytes(problem: ConvFirstProblem, config: ConvFirstConfig): number {
  const { hiddenStride, fullChunks } = planOf(problem, config);
  const { bandHeight, rowPitch, stride } = bandOf(problem, config.bandRows);
  const perRow = hiddenStride + (fullChunks > 0 ? problem.outputPitch : 0);
  const pixels = config.bandRows * problem.width;
  return 4 * (bandHeight * rowPitch + pixels * stride + config.rowTiles * config.tileRows * perRow);
}

/** Cycles before and after a register tile of the grouped convolution. */
const SPATIAL_TILE_CYCLES = 30;

function estimate(problem: ConvFirstProblem, config: ConvFirstConfig, caps: DeviceCaps): number {
  const { batch, height, width, channels, groups, kernelHeight, kernelWidth, outputPitch } = problem;
  const { lanes, tileRows, bandRows, pixels } = config;
  const plan = planOf(problem, config);
  const products = productsOf(problem);
  const tile = (rows: number): number => {
    const { up, down } = tileRowCycles(products, plan, config, caps, rows);
    return up + down;
  };
  const rows = bandRows * width;
  const lastRows = rows % tileRows;
  const dense = Math.floor(rows / tileRows) * tile(tileRows) + (lastRows > 0 ? tile(lastRows) : 0);
  const vectors = (channels / lanes) * bandRows * Math.ceil(width / pixels);
  const steps = (channels / groups) * kernelHeight;
  const width1 = lanes > 8 ? 1 : 0.5;
  const perStep = Math.max(
    pixels * kernelWidth * width1 * (caps.fma ? 1 : 2),
    (pixels + 2 * kernelWidth) / 2,
  );
  const spatial = vectors * (steps * (perStep + 1) + SPATIAL_TILE_CYCLES);
  const { bandHeight, rowPitch } = bandOf(problem, bandRows);
  const weightBytes = 4 * plan.packedFloats;
  const grid = {
    rowTiles: (batch * height) / bandRows,
    panels: 1,
    cycles: () => dense + spatial + (2 * bandHeight * rowPitch) / lanes,
    rowBytes: 4 * (bandHeight * rowPitch + rows * outputPitch),
    rowBlockBytes: 0,
    panelBytes: rereadBytes(weightBytes, caps),
  };
  return caps.threads * makespan(grid, { rowTiles: 1, panels: 1 }, caps) + weightBytes / 8;
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
  const { batch, height, width, channels, hidden, outputs, inputPitch, outputPitch, epilogue } = problem;
  const { lanes, tileRows, tileVectors, bandRows, rowTiles } = config;
  const { bandWidth, bandHeight, rowPitch, stride } = bandOf(problem, bandRows);
  const b = new KernelBuilder({
    name: kernelName(
      `convfirst_${batch}x${height}x${width}x${channels}_${hidden}_${outputs}`,
      `t${tileRows}x${tileVectors}`,
      `l${lanes}`,
    ),
    description: `${problem.kernelHeight}×${problem.kernelWidth} in ${problem.groups} groups, ${channels} → ${hidden}, ${problem.activation} → ${outputs}, bands of ${bandRows} rows`,
    lanes,
    tasks: (batch * height) / bandRows,
  });
  const x = b.input('x');
  const packed = b.input('packed');
  const residual = epilogue.residual ? b.input('residual') : undefined;
  const y = b.output('y');
  const band = b.scratch('band', bandHeight * rowPitch);
  const result = b.scratch('spatial', bandRows * width * stride);

  const bands = height / bandRows;
  const image = b.div(b.task, bands);
  const firstRow = b.sub(b.mul(b.rem(b.task, bands), bandRows), (problem.kernelHeight - 1) / 2);
  const copied = {
    groups: 1,
    groupInputs: inputPitch,
    bandWidth,
    pixelPitch: inputPitch,
    rowPitch,
    planeFloats: 0,
  };
  emitBandCopy(b, { height, width, inputs: channels, inputPitch }, copied, 1, x, band, {
    image,
    firstRow,
    firstColumn: b.i32(-(problem.kernelWidth - 1) / 2),
    rows: b.i32(bandHeight),
    channel: b.i32(0),
  });
  emitSpatial(b, problem, layout, config.pixels, { packed, band, rowPitch, rows: bandRows, result, stride });

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
