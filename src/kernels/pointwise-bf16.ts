import { KernelBuilder } from '../codegen/builder.ts';
import type { Kernel, Value } from '../codegen/ir.ts';
import type { DeviceCaps } from '../core/caps.ts';
import { applyEpilogue, epilogueLayout, epilogueOperations, loadEpilogue, packEpilogue } from './epilogue.ts';
import { kernelName } from './family.ts';
import type { Config, Emission, KernelFamily } from './family.ts';
import { panelCount, panelFloats, panelStride, panelsOf } from './gemm/panels.ts';
import type { Panels } from './gemm/panels.ts';
import { newTile } from './gemm/tile.ts';
import type { LeftOperand, RightOperand, Tile } from './gemm/tile.ts';
import { tileCycles, tileShapes } from './gemm/shapes.ts';
import type { PointwiseProblem } from './problem.ts';

/** A register tile of tileRows × tileVectors; a task computes rowTiles × panels of them. */
export interface PointwiseBf16Config extends Config {
  readonly lanes: number;
  readonly tileRows: number;
  readonly tileVectors: number;
  /** Row tiles of a task. */
  readonly rowTiles: number;
  /** Weight panels of a task. */
  readonly panels: number;
}

type RegisterTile = Pick<PointwiseBf16Config, 'lanes' | 'tileRows' | 'tileVectors'>;

/**
 * Matrix product of x and weights rounded to bfloat16, summed in float32: a step of the register tile covers two
 * inputs, so it takes half as many as in float32, and weights half the memory.
 *
 * A pair holds inputs p and p + depth, where `depth` is the number of pairs, half the input pitch in whole vectors: both
 * sides must only agree on the pairing, and with this one a row of x is rounded without shuffles. A task first
 * rounds its rows of x to scratch memory; that repeats work where several tasks share rows, yet costs less than a
 * kernel before this one, which would write x to memory and read it again.
 */
export const pointwiseBf16: KernelFamily<PointwiseProblem, PointwiseBf16Config> = {
  name: 'pointwise-bf16',
  op: 'pointwise',
  configs,
  estimate,
  emit,
};

/** Configurations for problems that permit bfloat16, on devices that have instructions for it. */
function configs(problem: PointwiseProblem, caps: DeviceCaps): PointwiseBf16Config[] {
  const { inputPitch, outputPitch } = problem;
  if (problem.precision !== 'bf16' || !caps.bf16 || problem.adjoint) return [];
  const found: PointwiseBf16Config[] = [];
  for (const lanes of caps.lanes.filter((l) => inputPitch % l === 0 && outputPitch % l === 0)) {
    const ranked: { readonly config: PointwiseBf16Config; readonly cost: number }[] = [];
    for (const { rows, vectors } of tileShapes(caps.vectorRegisters)) {
      // One vector across would need a broadcast for every product: a third slower.
      if (vectors === 1) continue;
      const tileRows = Math.min(rows, problem.rows);
      const tileVectors = Math.min(vectors, outputPitch / lanes);
      const tile = { lanes, tileRows, tileVectors };
      const config = { ...tile, ...partition(problem, caps, tile) };
      if (ranked.some((entry) => JSON.stringify(entry.config) === JSON.stringify(config))) continue;
      ranked.push({ config, cost: estimate(problem, config, caps) });
    }
    ranked.sort((a, b) => a.cost - b.cost);
    found.push(...ranked.slice(0, 6).map((entry) => entry.config));
  }
  return found;
}

/** Tasks a thread, so that threads finish together. */
const TASKS_PER_THREAD = 8;

/** Cuts the product into tasks: by rows, so that x is rounded once, and by panels only where rows are few. */
function partition(
  problem: PointwiseProblem,
  caps: DeviceCaps,
  { lanes, tileRows, tileVectors }: RegisterTile,
): Pick<PointwiseBf16Config, 'rowTiles' | 'panels'> {
  const rowTiles = Math.ceil(problem.rows / tileRows);
  const all = pairPanels(problem, lanes, tileVectors);
  const panels = panelCount(all);
  const wantedTasks = TASKS_PER_THREAD * caps.threads;
  // A quarter of the second-level cache for rows; the panels pass through the rest.
  const cachedTiles = Math.max(1, Math.floor(caps.l2Bytes / 4 / (4 * all.depth * tileRows)));
  if (rowTiles >= wantedTasks) {
    return { rowTiles: Math.min(cachedTiles, Math.ceil(rowTiles / wantedTasks)), panels };
  }
  const rowTasks = Math.ceil(rowTiles / cachedTiles);
  const panelTasks = Math.min(panels, Math.ceil(wantedTasks / rowTasks));
  return { rowTiles: Math.ceil(rowTiles / rowTasks), panels: Math.ceil(panels / panelTasks) };
}

/** Cycles of rounding a vector of pairs: loads, conversion, store. */
const ROUNDING_CYCLES = 4;
/** Cycles before and after a register tile's inner loop. */
const TILE_CYCLES = 60;

function estimate(problem: PointwiseProblem, config: PointwiseBf16Config, caps: DeviceCaps): number {
  const { rows, epilogue } = problem;
  const { lanes, tileRows, tileVectors } = config;
  const panels = pairPanels(problem, lanes, tileVectors);
  const storing = 2 + epilogueOperations(epilogue);
  const tile = (rowCount: number, vectors: number): number =>
    panels.depth * tileCycles(rowCount, vectors, lanes, caps) + rowCount * vectors * storing + TILE_CYCLES;
  const acrossPanels = (rowCount: number): number =>
    panels.fullPanels * tile(rowCount, tileVectors) +
    (panels.lastVectors > 0 ? tile(rowCount, panels.lastVectors) : 0);
  const rest = rows % tileRows;
  const tiles = Math.floor(rows / tileRows) * acrossPanels(tileRows) + (rest > 0 ? acrossPanels(rest) : 0);
  const panelTasks = Math.ceil(panelCount(panels) / config.panels);
  const rounding = (panelTasks * rows * panels.depth * ROUNDING_CYCLES) / lanes;
  const tasks = panelTasks * Math.ceil(Math.ceil(rows / tileRows) / config.rowTiles);
  // Some threads wait at the end where tasks do not divide evenly.
  const shareOfThreads = tasks / (Math.ceil(tasks / caps.threads) * caps.threads);
  return (tiles + rounding) / shareOfThreads;
}

/** Panels of weights as pairs: their depth is the number of pairs. */
function pairPanels(problem: PointwiseProblem, lanes: number, vectors: number): Panels {
  const depth = Math.ceil(problem.inputPitch / 2 / lanes) * lanes;
  return panelsOf(depth, problem.outputPitch, lanes, vectors);
}

function emit(problem: PointwiseProblem, config: PointwiseBf16Config): Emission {
  const { rows, inputs, outputs, outputPitch, epilogue } = problem;
  const { lanes, tileRows, tileVectors } = config;
  const panels = pairPanels(problem, lanes, tileVectors);
  const weightFloats = panelFloats(panels);
  const layout = epilogueLayout(epilogue, outputPitch, weightFloats);
  const suffix = kernelName(`${rows}x${inputs}x${outputs}`, `t${tileRows}x${tileVectors}`, `l${lanes}`);
  return {
    main: [emitMain(problem, config, panels, `pointwise_bf16_${suffix}`)],
    prepare: [
      emitPacking(problem, panels, `pointwise_bf16_pack_${suffix}`),
      ...packEpilogue(epilogue, layout, outputs),
    ],
    packedFloats: weightFloats + layout.floats,
    tempFloats: 0,
  };
}

/** Rows of pairs that are packed together, so that reads and writes both stay within a few cache lines. */
const DEPTH_BLOCK = 16;

/** Packs one panel (task) of weight[output][input] as pairs; what lies beyond the last input or output stays zero. */
function emitPacking({ inputs, outputs }: PointwiseProblem, panels: Panels, name: string): Kernel {
  const { depth, lanes, vectors, fullPanels, lastVectors } = panels;
  const width = vectors * lanes;
  const b = new KernelBuilder({
    name,
    description: `packs weights [${outputs}, ${inputs}] as pairs of bfloat16 into panels of ${vectors} vectors`,
    lanes,
    tasks: panelCount(panels),
  });
  const weight = b.input('weight');
  const packed = b.output('packed');
  const thisWidth = b.select(b.lt(b.task, fullPanels), width, lastVectors * lanes);
  const base = b.mul(b.task, panelStride(panels));
  const firstOutput = b.mul(b.task, width);
  const count = b.min(thisWidth, b.sub(outputs, firstOutput));
  const pack = (start: number, end: number, high: (at: Value) => Value): void => {
    b.for(start, end, DEPTH_BLOCK, (p0) => {
      const p1 = b.min(b.add(p0, DEPTH_BLOCK), end);
      b.for(0, count, 1, (j) => {
        const row = b.mul(b.add(firstOutput, j), inputs);
        b.for(p0, p1, 1, (p) => {
          const at = b.add(row, p);
          const to = b.add(b.add(base, b.mul(p, thisWidth)), j);
          b.store(packed, to, b.packBf16(b.loadScalar(weight, at), high(at)));
        });
      });
    });
  };
  const paired = Math.max(0, inputs - depth);
  pack(0, paired, (at) => b.loadScalar(weight, at, depth));
  pack(paired, Math.min(depth, inputs), () => b.f32(0));
  return b.build();
}

/** Between rows of pairs, so that those of a tile do not all fall into the same sets of the first-level cache. */
const STRIDE_PADDING = 16;

function emitMain(
  problem: PointwiseProblem,
  config: PointwiseBf16Config,
  panels: Panels,
  name: string,
): Kernel {
  const { rows, inputs, outputs, inputPitch, outputPitch, epilogue } = problem;
  const { lanes, tileRows, tileVectors } = config;
  const fullTiles = Math.floor(rows / tileRows);
  const lastRows = rows % tileRows;
  const rowTasks = Math.ceil((fullTiles + (lastRows > 0 ? 1 : 0)) / config.rowTiles);
  const panelTasks = Math.ceil(panelCount(panels) / config.panels);
  const b = new KernelBuilder({
    name,
    description: `[${rows}, ${inputs}] · [${inputs}, ${outputs}] in bfloat16, register tiles of ${tileRows} rows × ${tileVectors} vectors`,
    lanes,
    tasks: rowTasks * panelTasks,
  });
  const x = b.input('x');
  const packed = b.input('packed');
  const residual = epilogue.residual ? b.input('residual') : undefined;
  const y = b.output('y');
  const rowStride = panels.depth + STRIDE_PADDING;
  const pairs = b.scratch('pairs', config.rowTiles * tileRows * rowStride);
  const layout = epilogueLayout(epilogue, outputPitch, panelFloats(panels));

  const rowTask = b.rem(b.task, rowTasks);
  const panelTask = b.div(b.task, rowTasks);
  const firstTile = b.mul(rowTask, config.rowTiles);
  const endTile = b.min(b.add(firstTile, config.rowTiles), fullTiles);
  const firstPanel = b.mul(panelTask, config.panels);
  const endPanel = b.min(b.add(firstPanel, config.panels), panels.fullPanels);

  const firstRow = b.mul(firstTile, tileRows);
  const endRow = b.min(b.add(firstRow, config.rowTiles * tileRows), rows);
  b.for(firstRow, endRow, 1, (row) => {
    const from = { buffer: x, base: b.mul(row, inputPitch) };
    const to = { buffer: pairs, base: b.mul(b.sub(row, firstRow), rowStride) };
    roundRow(b, from, to, inputPitch, panels.depth);
  });

  const emitTile = (tile: Value, rowCount: number, panel: Value, vectors: number): void => {
    const accumulators = newTile(b, rowCount, vectors, () => b.vec(0));
    const left = {
      buffer: pairs,
      base: b.mul(b.sub(tile, firstTile), tileRows * rowStride),
      rowOffset: (r: number) => r * rowStride,
    };
    const right = { buffer: packed, base: b.mul(panel, panelStride(panels)) };
    accumulate(b, accumulators, left, right, panels.depth);
    const channel = b.mul(panel, tileVectors * lanes);
    const at = b.add(b.mul(tile, tileRows * outputPitch), channel);
    accumulators.forEach((row, r) => {
      row.forEach((accumulator, v) => {
        const offset = r * outputPitch + v * lanes;
        const factors = loadEpilogue(b, layout, packed, b.add(channel, v * lanes));
        const added = residual && b.loadVec(residual, at, offset);
        b.store(y, at, applyEpilogue(b, epilogue, factors, accumulator.get(), added), offset);
      });
    });
  };
  const emitPanel = (panel: Value, vectors: number): void => {
    b.for(firstTile, endTile, 1, (tile) => {
      emitTile(tile, tileRows, panel, vectors);
    });
    if (lastRows > 0) {
      b.if(b.eq(rowTask, rowTasks - 1), () => {
        emitTile(b.i32(fullTiles), lastRows, panel, vectors);
      });
    }
  };
  b.for(firstPanel, endPanel, 1, (panel) => {
    emitPanel(panel, tileVectors);
  });
  if (panels.lastVectors > 0) {
    b.if(b.eq(panelTask, panelTasks - 1), () => {
      emitPanel(b.i32(panels.fullPanels), panels.lastVectors);
    });
  }
  return b.build();
}

/** Rounds `pitch` floats to `depth` pairs (p, p + depth); what lies beyond the pitch is zero. */
function roundRow(
  b: KernelBuilder,
  from: RightOperand,
  to: RightOperand,
  pitch: number,
  depth: number,
): void {
  const round = (start: number, end: number, high: (at: Value) => Value): void => {
    b.for(start, end, b.lanes, (p) => {
      const at = b.add(from.base, p);
      b.store(to.buffer, b.add(to.base, p), b.packBf16(b.loadVec(from.buffer, at), high(at)));
    });
  };
  round(0, pitch - depth, (at) => b.loadVec(from.buffer, at, depth));
  round(pitch - depth, depth, () => b.vec(0));
}

/** tile += left[rows, depth] · right[depth, vectors · lanes], all pairs; as in gemm/tile.ts, with two products a step. */
function accumulate(
  b: KernelBuilder,
  tile: Tile,
  left: LeftOperand,
  right: RightOperand,
  depth: number,
): void {
  const vectors = tile[0]?.length ?? 0;
  b.for(0, depth, 1, (p) => {
    const from = b.add(right.base, b.mul(p, vectors * b.lanes));
    const weights = Array.from({ length: vectors }, (_, v) => b.loadVec(right.buffer, from, v * b.lanes));
    const element = b.add(left.base, p);
    tile.forEach((accumulators, r) => {
      const a = b.loadBroadcast(left.buffer, element, left.rowOffset(r));
      accumulators.forEach((accumulator, v) => {
        const factor = weights[v];
        if (factor !== undefined) accumulator.set(b.dotBf16(a, factor, accumulator.get()));
      });
    });
  });
}
