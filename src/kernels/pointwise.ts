import { KernelBuilder } from '../codegen/builder.ts';
import type { Kernel, Value } from '../codegen/ir.ts';
import type { DeviceCaps } from '../core/caps.ts';
import { applyEpilogue, epilogueLayout, epilogueOperations, loadEpilogue, packEpilogue } from './epilogue.ts';
import { kernelName } from './family.ts';
import type { Config, Emission, KernelFamily } from './family.ts';
import {
  DEPTH_UNIT,
  emitPacking,
  emitTransposedPacking,
  paddedDepth,
  panelCount,
  panelFloats,
  panelStride,
  panelsOf,
} from './gemm/panels.ts';
import type { Panels } from './gemm/panels.ts';
import { makespan, partition } from './gemm/partition.ts';
import type { TileGrid } from './gemm/partition.ts';
import { accumulate, newTile } from './gemm/tile.ts';
import type { Ahead } from './gemm/tile.ts';
import { conflictFactor, finishCycles, tileCycles, tileShapes, unrollFor } from './gemm/shapes.ts';
import type { PointwiseProblem } from './problem.ts';

/** A register tile of tileRows × tileVectors; a task computes rowTiles × panels of them, depthBlock deep at a time. */
export interface PointwiseConfig extends Config {
  readonly lanes: number;
  readonly tileRows: number;
  readonly tileVectors: number;
  /** Row tiles of a task. */
  readonly rowTiles: number;
  /** Weight panels of a task. */
  readonly panels: number;
  /** Products summed before the accumulators are put aside; 0: all of them. */
  readonly depthBlock: number;
  /** Steps of the innermost loop's body. */
  readonly unroll: number;
}

/**
 * Matrix product with weights packed once: linear layers and 1×1 convolutions.
 *
 * A register tile needs one load a vector of weights and one broadcast a row for tileRows · tileVectors
 * fused multiply-adds. Within a task, panels are the outer loop, so a panel stays in the first- or
 * second-level cache while the rows pass by.
 */
export const pointwise: KernelFamily<PointwiseProblem, PointwiseConfig> = {
  name: 'pointwise',
  op: 'pointwise',
  configs,
  estimate,
  emit,
};

function configs(problem: PointwiseProblem, caps: DeviceCaps): PointwiseConfig[] {
  const found: PointwiseConfig[] = [];
  for (const lanes of caps.lanes.filter((l) => problem.outputPitch % l === 0)) {
    const ranked = new Map<string, { readonly config: PointwiseConfig; readonly cost: number }>();
    for (const { rows, vectors } of tileShapes(caps.vectorRegisters, caps.fma)) {
      const tileRows = Math.min(rows, problem.rows);
      const tileVectors = Math.min(vectors, problem.outputPitch / lanes);
      for (const depthBlock of depthBlocks(problem, tileVectors * lanes, caps)) {
        const tile = { lanes, tileRows, tileVectors, depthBlock };
        const config = {
          ...tile,
          ...partition(tileGrid(problem, tile, caps), caps),
          unroll: unrollFor(caps),
        };
        ranked.set(JSON.stringify(config), { config, cost: estimate(problem, config, caps) });
      }
    }
    const best = [...ranked.values()].sort((a, b) => a.cost - b.cost).slice(0, 6);
    found.push(...best.map((entry) => entry.config));
  }
  return found;
}

/** All of the depth, if a panel leaves room in the second-level cache, and blocks of it, if it is large. */
function depthBlocks(problem: PointwiseProblem, panelWidth: number, caps: DeviceCaps): number[] {
  const depth = paddedDepth(problem.inputs, problem.inputPitch);
  const block = blockOf(depth);
  if (4 * depth * panelWidth > caps.l2Bytes / 2) return [block];
  return depth > 1024 ? [...new Set([0, block])] : [0];
}

/** The largest part of the depth of at most 512 that divides it into equal blocks; 0 if there is none. */
function blockOf(depth: number): number {
  const most = Math.min(512, depth - 1);
  for (let block = most - (most % DEPTH_UNIT); block >= 128; block -= DEPTH_UNIT) {
    if (depth % block === 0) return block;
  }
  return 0;
}

/** Cycles before and after a register tile's inner loop. */
const TILE_CYCLES = 60;

function tileGrid(
  problem: PointwiseProblem,
  {
    lanes,
    tileRows,
    tileVectors,
    depthBlock,
  }: Pick<PointwiseConfig, 'lanes' | 'tileRows' | 'tileVectors' | 'depthBlock'>,
  caps: DeviceCaps,
): TileGrid {
  const { rows, inputPitch, epilogue } = problem;
  const depth = paddedDepth(problem.inputs, problem.inputPitch);
  const panels = panelsOf(depth, problem.outputPitch, lanes, tileVectors);
  const block = depthBlock || depth;
  const blocks = depth / block;
  const lastRows = rows % tileRows || tileRows;
  const lastVectors = panels.lastVectors || tileVectors;
  const cycles = (tileRows: number, vectors: number): number =>
    depth * tileCycles(tileRows, vectors, lanes, caps) * conflictFactor(tileRows, 4 * inputPitch) +
    finishCycles(tileRows, vectors, epilogueOperations(epilogue), caps) +
    blocks * (TILE_CYCLES + (blocks > 1 ? 2 * tileRows * vectors : 0));
  const costs = [
    [cycles(tileRows, tileVectors), cycles(tileRows, lastVectors)],
    [cycles(lastRows, tileVectors), cycles(lastRows, lastVectors)],
  ];
  return {
    rowTiles: Math.ceil(rows / tileRows),
    panels: panelCount(panels),
    cycles: (lastRow, lastPanel) => costs[lastRow ? 1 : 0]?.[lastPanel ? 1 : 0] ?? 0,
    rowBytes: 4 * depth * tileRows,
    rowBlockBytes: 4 * block * tileRows,
    panelBytes: 4 * depth * tileVectors * lanes,
  };
}

function estimate(problem: PointwiseProblem, config: PointwiseConfig, caps: DeviceCaps): number {
  return caps.threads * makespan(tileGrid(problem, config, caps), config, caps);
}

function emit(problem: PointwiseProblem, config: PointwiseConfig): Emission {
  const { rows, inputs, outputs, outputPitch, epilogue } = problem;
  const panels = panelsOf(
    paddedDepth(problem.inputs, problem.inputPitch),
    outputPitch,
    config.lanes,
    config.tileVectors,
  );
  const weightFloats = panelFloats(panels);
  const layout = epilogueLayout(epilogue, outputPitch, weightFloats);
  const suffix = kernelName(
    `${rows}x${inputs}x${outputs}`,
    `t${config.tileRows}x${config.tileVectors}`,
    `l${config.lanes}`,
  );
  const prepare = new KernelBuilder({
    name: kernelName(problem.adjoint ? 'pointwise_pack_adjoint' : 'pointwise_pack', suffix),
    description: `packs weights [${(problem.adjoint ? [inputs, outputs] : [outputs, inputs]).join(', ')}] into panels of ${config.tileVectors} vectors`,
    lanes: config.lanes,
    tasks: panelCount(panels),
  });
  const [weight, packed] = [prepare.input('weight'), prepare.output('packed')];
  if (problem.adjoint) emitTransposedPacking(prepare, weight, packed, panels, inputs, outputs);
  else emitPacking(prepare, weight, packed, panels, outputs, undefined, inputs);
  return {
    main: [emitMain(problem, config, panels, `pointwise_${suffix}`)],
    prepare: [prepare.build(), ...packEpilogue(epilogue, layout, outputs)],
    packedFloats: weightFloats + layout.floats,
    tempFloats: 0,
  };
}

function emitMain(problem: PointwiseProblem, config: PointwiseConfig, panels: Panels, name: string): Kernel {
  const { rows, inputs, inputPitch, outputPitch, epilogue } = problem;
  const { depth } = panels;
  const { lanes, tileRows, tileVectors } = config;
  const fullTiles = Math.floor(rows / tileRows);
  const lastRows = rows % tileRows;
  const rowTasks = Math.ceil((fullTiles + (lastRows > 0 ? 1 : 0)) / config.rowTiles);
  const panelTasks = Math.ceil(panelCount(panels) / config.panels);
  const b = new KernelBuilder({
    name,
    description: `[${rows}, ${inputs}] · [${inputs}, ${problem.outputs}], register tiles of ${tileRows} rows × ${tileVectors} vectors`,
    lanes,
    tasks: rowTasks * panelTasks,
  });
  const x = b.input('x');
  const packed = b.input('packed');
  const residual = epilogue.residual ? b.input('residual') : undefined;
  const y = b.output('y');
  const depthBlock = config.depthBlock === 0 ? depth : config.depthBlock;
  const sums =
    depthBlock < depth ? b.scratch('sums', config.rowTiles * tileRows * tileVectors * lanes) : undefined;
  const weightFloats = panelFloats(panels);
  const layout = epilogueLayout(epilogue, outputPitch, weightFloats);

  const rowTask = b.rem(b.task, rowTasks);
  const panelTask = b.div(b.task, rowTasks);
  const firstTile = b.mul(rowTask, config.rowTiles);
  const endTile = b.min(b.add(firstTile, config.rowTiles), fullTiles);
  const firstPanel = b.mul(panelTask, config.panels);
  const endPanel = b.min(b.add(firstPanel, config.panels), panels.fullPanels);

  const finish = (tile: Value, row: number, vector: number, channel: Value, sum: Value): void => {
    const at = b.add(b.mul(tile, tileRows * outputPitch), channel);
    const offset = row * outputPitch + vector * lanes;
    const vectors = loadEpilogue(b, layout, packed, b.add(channel, vector * lanes));
    const added = residual && b.loadVec(residual, at, offset);
    b.store(y, at, applyEpilogue(b, epilogue, vectors, sum, added), offset);
  };

  const rowOffset = (r: number): number => r * inputPitch;

  /**
   * The tiles of a task ask for the weights that come next, each for its part: those that come from memory keep the first
   * tile of a panel waiting otherwise.
   */
  const ahead = (tile: Value, rightBase: Value, vectors: number): Ahead | undefined => {
    if (config.rowTiles === 1 || weightFloats === depthBlock * vectors * lanes) return undefined;
    const width = vectors * lanes;
    const perStep = Math.ceil(width / config.rowTiles);
    const next = b.min(b.add(rightBase, depthBlock * width), weightFloats - depthBlock * width);
    const part = b.min(b.mul(b.sub(tile, firstTile), perStep), width - perStep);
    return { buffer: packed, base: b.add(next, b.mul(part, depthBlock)), perStep };
  };

  /** One register tile over products k0 … k0 + depthBlock − 1. */
  const emitTile = (
    tile: Value,
    rowCount: number,
    panelBase: Value,
    channel: Value,
    vectors: number,
    k0: Value,
  ): void => {
    const sumBase = sums && b.mul(b.sub(tile, firstTile), tileRows * tileVectors * lanes);
    const place = (r: number, v: number): number => (r * tileVectors + v) * lanes;
    const accumulators = newTile(b, rowCount, vectors, (r, v) =>
      sums && sumBase ? b.loadVec(sums, sumBase, place(r, v)) : b.vec(0),
    );
    const left = { buffer: x, base: b.add(b.mul(tile, tileRows * inputPitch), k0), rowOffset };
    const right = { buffer: packed, base: b.add(panelBase, b.mul(k0, vectors * lanes)) };
    accumulate(b, accumulators, left, right, depthBlock, config.unroll, ahead(tile, right.base, vectors));
    accumulators.forEach((row, r) => {
      row.forEach((accumulator, v) => {
        if (sums && sumBase) b.store(sums, sumBase, accumulator.get(), place(r, v));
        else finish(tile, r, v, channel, accumulator.get());
      });
    });
  };

  const forEachTile = (body: (tile: Value, rowCount: number) => void): void => {
    b.for(firstTile, endTile, 1, (tile) => body(tile, tileRows));
    if (lastRows > 0) b.if(b.eq(rowTask, rowTasks - 1), () => body(b.i32(fullTiles), lastRows));
  };

  const emitPanel = (panel: Value, vectors: number): void => {
    const panelBase = b.mul(panel, panelStride(panels));
    const channel = b.mul(panel, tileVectors * lanes);
    if (sums === undefined) {
      forEachTile((tile, rowCount) => emitTile(tile, rowCount, panelBase, channel, vectors, b.i32(0)));
      return;
    }
    b.for(0, config.rowTiles * tileRows * tileVectors * lanes, lanes, (i) => b.store(sums, i, b.vec(0)));
    b.for(0, depth, depthBlock, (k0) => {
      forEachTile((tile, rowCount) => emitTile(tile, rowCount, panelBase, channel, vectors, k0));
    });
    forEachTile((tile, rowCount) => {
      const sumBase = b.mul(b.sub(tile, firstTile), tileRows * tileVectors * lanes);
      for (let r = 0; r < rowCount; r++) {
        for (let v = 0; v < vectors; v++) {
          finish(tile, r, v, channel, b.loadVec(sums, sumBase, (r * tileVectors + v) * lanes));
        }
      }
    });
  };

  b.for(firstPanel, endPanel, 1, (panel) => emitPanel(panel, tileVectors));
  if (panels.lastVectors > 0) {
    b.if(b.eq(panelTask, panelTasks - 1), () => emitPanel(b.i32(panels.fullPanels), panels.lastVectors));
  }
  return b.build();
}
