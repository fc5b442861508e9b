import { KernelBuilder } from '../codegen/builder.ts';
import type { Buffer, Kernel, Value } from '../codegen/ir.ts';
import type { DeviceCaps } from '../core/caps.ts';
import { bestOfEachKind, kernelName } from './family.ts';
import type { Emission, KernelFamily } from './family.ts';
import { emitBlock } from './ffn/block.ts';
import { oddLines, packBlock, planBlock } from './ffn/plan.ts';
import type { BlockConfig, BlockPlan } from './ffn/plan.ts';
import { chunkSizes, rereadBytes, tileRowCycles } from './ffn/search.ts';
import { paddedDepth } from './gemm/panels.ts';
import { makespan } from './gemm/partition.ts';
import type { TileGrid } from './gemm/partition.ts';
import { conflictFactor, tileShapes, unrollFor } from './gemm/shapes.ts';
import type { LeftOperand } from './gemm/tile.ts';
import { canHold, rowNormalizer } from './layer-norm.ts';
import type { FfnProblem } from './problem.ts';

export interface FfnConfig extends BlockConfig {
  /** Row tiles of a task. */
  readonly rowTiles: number;
  /** Whether a row stays in registers while it is normalised. */
  readonly held: boolean;
}

/**
 * Two matrix products and what is between them, block of rows by block of rows: hidden channels stay in
 * the scratch memory of a thread, that is in its caches, so nothing of them crosses memory and no thread
 * waits between the products. Every task reads all weights, which pays while rows are many.
 */
export const ffnFused: KernelFamily<FfnProblem, FfnConfig> = {
  name: 'ffn-fused',
  op: 'ffn',
  configs,
  estimate,
  emit,
};

/** Candidates a lane count. */
const OFFERED = 8;

function configs(problem: FfnProblem, caps: DeviceCaps): FfnConfig[] {
  const lanes = caps.lanes.filter((l) => problem.outputPitch % l === 0 && problem.inputPitch % l === 0);
  return lanes.flatMap((count) =>
    bestOfEachKind(
      tilings(problem, count, caps),
      OFFERED,
      (config) => estimate(problem, config, caps),
      (config) => `${config.tileRows} ${config.tileVectors} ${config.chunkPanels}`,
    ),
  );
}

function tilings(problem: FfnProblem, lanes: number, caps: DeviceCaps): FfnConfig[] {
  const found: FfnConfig[] = [];
  const hiddenVectors = Math.ceil(problem.hidden / lanes);
  const held = canHold(problem.inputs, { lanes, vector: true }, caps);
  for (const { rows, vectors } of tileShapes(caps.vectorRegisters, caps.fma)) {
    const tileRows = Math.min(rows, problem.rows);
    const tileVectors = Math.min(vectors, Math.max(hiddenVectors, problem.outputPitch / lanes));
    const tiles = Math.ceil(problem.rows / tileRows);
    for (const chunkPanels of chunkSizes(Math.ceil(hiddenVectors / tileVectors), tileVectors * lanes)) {
      for (const rowTiles of rowShares(tiles, caps.threads)) {
        const tile = { lanes, tileRows, tileVectors, chunkPanels, rowTiles };
        const config = { ...tile, unroll: unrollFor(caps), held };
        if (rowTiles === 1 || scratchBytes(problem, config) <= caps.l2Bytes / 2) found.push(config);
      }
    }
  }
  return found;
}

/** Tiles a task, so that tasks are about equal for each thread. */
function rowShares(tiles: number, threads: number): number[] {
  const sizes = new Set<number>([1, 2, 4].filter((size) => size <= tiles));
  for (let share = 1; share <= 32 && share * threads <= tiles; share += Math.max(1, share >> 2)) {
    sizes.add(Math.ceil(tiles / (share * threads)));
  }
  return [...sizes];
}

function planOf(problem: FfnProblem, config: BlockConfig): BlockPlan {
  return planBlock(problem, paddedDepth(problem.inputs, problem.inputPitch), config);
}

/** Memory that a task uses over and over, besides weights. */
function scratchBytes(problem: FfnProblem, config: FfnConfig): number {
  const { hiddenStride, fullChunks } = planOf(problem, config);
  const sums = fullChunks > 0 ? problem.outputPitch : 0;
  return 4 * config.rowTiles * config.tileRows * (problem.inputPitch + hiddenStride + sums);
}

function estimate(problem: FfnProblem, config: FfnConfig, caps: DeviceCaps): number {
  const { rows, inputPitch, outputPitch } = problem;
  const { tileRows, lanes } = config;
  const plan = planOf(problem, config);
  const ofRows = (rows: number): number => {
    const { up, down } = tileRowCycles(problem, plan, config, caps, rows);
    const conflicts = problem.norm ? 1 : conflictFactor(rows, 4 * inputPitch);
    return up * conflicts + down + (problem.norm ? rows * (60 + (6 * inputPitch) / lanes) : 0);
  };
  const weightBytes = 4 * plan.packedFloats;
  const [full, last] = [ofRows(tileRows), ofRows(rows % tileRows || tileRows)];
  const grid: TileGrid = {
    rowTiles: Math.ceil(rows / tileRows),
    panels: 1,
    cycles: (lastRow) => (lastRow ? last : full),
    rowBytes: 4 * tileRows * (inputPitch + outputPitch),
    rowBlockBytes: 0,
    panelBytes: rereadBytes(weightBytes, caps),
  };
  // From memory weights come once, shared by all threads.
  return caps.threads * makespan(grid, { rowTiles: config.rowTiles, panels: 1 }, caps) + weightBytes / 8;
}

function emit(problem: FfnProblem, config: FfnConfig): Emission {
  const plan = planOf(problem, config);
  return {
    main: [emitMain(problem, config, plan)],
    prepare: packBlock(problem, plan),
    packedFloats: plan.packedFloats,
    tempFloats: 0,
  };
}

function emitMain(problem: FfnProblem, config: FfnConfig, plan: BlockPlan): Kernel {
  const { rows, inputs, hidden, outputs, inputPitch, outputPitch, norm, epilogue } = problem;
  const { lanes, tileRows, tileVectors, rowTiles } = config;
  const fullTiles = Math.floor(rows / tileRows);
  const lastRows = rows % tileRows;
  const tasks = Math.ceil((fullTiles + (lastRows > 0 ? 1 : 0)) / rowTiles);
  const b = new KernelBuilder({
    name: kernelName(
      `ffn_${rows}x${inputs}x${hidden}x${outputs}`,
      `t${tileRows}x${tileVectors}`,
      `l${lanes}`,
    ),
    description: `${norm ? 'layer norm, ' : ''}[${rows}, ${inputs}] → ${hidden}, ${problem.activation} → ${outputs}, register tiles of ${tileRows} rows × ${tileVectors} vectors`,
    lanes,
    tasks,
  });
  const x = b.input('x');
  const packed = b.input('packed');
  const residual = epilogue.residual ? b.input('residual') : undefined;
  const y = b.output('y');
  const firstTile = b.mul(b.task, rowTiles);
  const firstRow = b.mul(b.task, rowTiles * tileRows);
  const wholeTiles = b.min(b.sub(b.i32(fullTiles), firstTile), rowTiles);
  const forEachTile = (body: (tile: Value, rowCount: number) => void): void => {
    b.for(0, wholeTiles, 1, (tile) => body(tile, tileRows));
    if (lastRows > 0) b.if(b.eq(b.task, tasks - 1), () => body(wholeTiles, lastRows));
  };
  const left = norm
    ? normalizedRows(b, problem, norm, config, { x, firstRow })
    : (tile: Value): LeftOperand => ({
        buffer: x,
        base: b.mul(b.add(firstTile, tile), tileRows * inputPitch),
        rowOffset: (r) => r * inputPitch,
      });
  emitBlock(b, problem, config, plan, {
    packed,
    tiles: rowTiles,
    forEachTile,
    left,
    outputAt: (tile) => b.mul(b.add(firstTile, tile), tileRows * outputPitch),
    residual,
    y,
  });
  return b.build();
}

/**
 * Emits the layer norm of a task's rows into scratch memory, from where the product then reads them: there they lie
 * so that the rows of a tile use all sets of the first-level cache.
 */
function normalizedRows(
  b: KernelBuilder,
  { rows, inputs, inputPitch }: FfnProblem,
  { epsilon }: NonNullable<FfnProblem['norm']>,
  { lanes, tileRows, rowTiles, held }: FfnConfig,
  { x, firstRow }: { readonly x: Buffer; readonly firstRow: Value },
): (tile: Value) => LeftOperand {
  const stride = oddLines(inputs);
  const buffer = b.scratch('normalized', rowTiles * tileRows * stride);
  const normalize = rowNormalizer(b, { channels: inputs, epsilon }, { lanes, vector: true, held });
  const count = b.min(b.sub(b.i32(rows), firstRow), rowTiles * tileRows);
  b.for(0, count, 1, (row) => {
    const from = b.mul(b.add(firstRow, row), inputPitch);
    const to = b.mul(row, stride);
    normalize(
      (c, offset) => b.loadVec(x, b.add(from, c), offset),
      (normal, c, offset) => b.store(buffer, b.add(to, c), normal, offset),
    );
  });
  return (tile) => ({ buffer, base: b.mul(tile, tileRows * stride), rowOffset: (r) => r * stride });
}
