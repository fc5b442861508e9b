import type { DeviceCaps } from '../../core/caps.ts';
import { epilogueOperations } from '../epilogue.ts';
import { panelFloats } from '../gemm/panels.ts';
import { conflictFactor, tileCycles, tileShapes, unrollFor } from '../gemm/shapes.ts';
import type { TileShape } from '../gemm/shapes.ts';
import { outputMap } from '../problem.ts';
import type { ConvProblem } from '../problem.ts';
import { mergeGroups, planConv, windowSpan } from './plan.ts';
import type { ConvConfig, ConvPlan } from './plan.ts';
import { evenly, gcd, roundUp, tileParts } from '../divide.ts';
import { END_SKEW } from '../gemm/partition.ts';

/** Candidates beyond the best few of each lane count are never measured, nor those that are clearly worse. */
const MAX_CONFIGS_PER_LANES = 6;
const CLEARLY_WORSE = 1.5;

/** Bytes a cycle from the last-level cache, and cycles to start a task and a run of products. */
const FAR_BYTES_PER_CYCLE = 12;
const TASK_CYCLES = 1000;
const RUN_CYCLES = 6;

/** The most promising configurations, best first: for each register tile the cut with the lowest estimate. */
export function convConfigs(problem: ConvProblem, caps: DeviceCaps): ConvConfig[] {
  const found: { readonly config: ConvConfig; readonly cost: number }[] = [];
  for (const lanes of caps.lanes.filter((l) => problem.outputPitch % l === 0)) {
    const ranked = new Map<string, { readonly config: ConvConfig; readonly cost: number }>();
    for (const tile of tilesFor(problem, lanes, caps)) {
      const best = cuts(problem, lanes, tile, caps)
        .map((config) => ({ config, cost: estimateConv(problem, config, caps) }))
        .reduce((a, b) => (b.cost < a.cost ? b : a));
      ranked.set(JSON.stringify(best.config), best);
    }
    found.push(...[...ranked.values()].sort((a, b) => a.cost - b.cost).slice(0, MAX_CONFIGS_PER_LANES));
  }
  found.sort((a, b) => a.cost - b.cost);
  const limit = (found[0]?.cost ?? 0) * CLEARLY_WORSE;
  return found.filter((entry) => entry.cost <= limit).map((entry) => entry.config);
}

type RegisterTile = Pick<ConvConfig, 'tileHeight' | 'tileWidth' | 'tileVectors'>;

/** Register tiles that cover the output map evenly: parts of a row, or several rows of a narrow map. */
function tilesFor(problem: ConvProblem, lanes: number, caps: DeviceCaps): RegisterTile[] {
  const out = outputMap(problem);
  const { groups, groupVectors } = mergeGroups(problem, lanes);
  const total = problem.outputPitch / lanes;
  const common = groups === 1 ? total : gcd(groupVectors, total);
  const tiles = new Map<string, RegisterTile>();
  for (const shape of tileShapes(caps.vectorRegisters, caps.fma)) {
    const tile = {
      ...coverMap(shape, out.height, out.width),
      tileVectors: vectorsFor(shape, groups, common),
    };
    tiles.set(JSON.stringify(tile), tile);
  }
  return [...tiles.values()];
}

function coverMap(
  { rows }: TileShape,
  height: number,
  width: number,
): Pick<RegisterTile, 'tileHeight' | 'tileWidth'> {
  if (width > rows) return { tileHeight: 1, tileWidth: evenly(width, rows) };
  return { tileHeight: evenly(height, Math.max(1, Math.floor(rows / width))), tileWidth: width };
}

/** Panels must not straddle groups. */
function vectorsFor({ vectors }: TileShape, groups: number, common: number): number {
  if (groups === 1) return Math.min(vectors, common);
  for (let v = Math.min(vectors, common); v > 1; v--) if (common % v === 0) return v;
  return 1;
}

/** Ways to cut the work into tasks, whose pixels should stay in the second-level cache. */
function cuts(problem: ConvProblem, lanes: number, tile: RegisterTile, caps: DeviceCaps): ConvConfig[] {
  const out = outputMap(problem);
  const { groups, groupInputs } = mergeGroups(problem, lanes);
  const found: ConvConfig[] = [];
  const taps = problem.kernelHeight * problem.kernelWidth;
  const panelBytes = 4 * taps * groupInputs * tile.tileVectors * lanes;
  const passes = panelBytes > caps.l2Bytes / 4 ? new Set([taps, problem.kernelWidth, 1]) : [taps];
  for (const bandGroups of groups === 1 ? [1] : [1, 2, 4].filter((g) => groups % g === 0)) {
    const pixelBytes = 4 * (groups === 1 ? problem.inputPitch : bandGroups * groupInputs);
    const fits = (rows: number, columns: number): boolean =>
      bandBytes(problem, rows, columns, pixelBytes) <= caps.l2Bytes / 2;
    let bandColumns = out.width;
    while (bandColumns > tile.tileWidth && !fits(tile.tileHeight, bandColumns)) {
      bandColumns = roundUp(Math.ceil(bandColumns / 2), tile.tileWidth);
    }
    for (const bandRows of bandHeights(out.height, tile.tileHeight)) {
      if (bandRows > tile.tileHeight && !fits(bandRows, bandColumns)) continue;
      const whole = {
        lanes,
        ...tile,
        bandRows,
        bandColumns,
        bandGroups,
        panels: 1,
        passTaps: taps,
        panelsAhead: 0,
        unroll: unrollFor(caps),
      };
      const { groupPanels, panels: all } = planConv(problem, whole);
      const areFar = 4 * panelFloats(all) > caps.l2Bytes;
      const isCut = bandRows < out.height || bandColumns < out.width || problem.batch > 1;
      for (const panels of new Set([1, 2, 4, 8].map((parts) => Math.ceil(groupPanels / parts)).concat(1))) {
        for (const passTaps of passes) {
          // Neighbouring tasks go to different threads.
          const panelsAhead = areFar ? (isCut || panels > 1 ? 1 : caps.threads) : 0;
          found.push({ ...whole, panels, passTaps, panelsAhead });
        }
      }
    }
  }
  return found;
}

/** Into how many bands a map may be cut. */
const BANDS = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 128, 256, Infinity];

/** Band heights that cut a map into about equal bands, each a whole number of tiles (or the whole map). */
function bandHeights(height: number, tile: number): number[] {
  const tiles = Math.ceil(height / tile);
  return [...new Set(BANDS.map((n) => Math.min(Math.max(1, Math.ceil(tiles / n)) * tile, height)))];
}

function bandBytes(problem: ConvProblem, rows: number, columns: number, pixelBytes: number): number {
  const { kernelHeight, kernelWidth, stride, dilation } = problem;
  return (
    windowSpan(rows, kernelHeight, stride, dilation) *
    windowSpan(columns, kernelWidth, stride, dilation) *
    pixelBytes
  );
}

/**
 * Expected cycles of one core, all threads together: arithmetic, copies, weights that no cache holds, and threads that wait
 * at the end.
 */
export function estimateConv(problem: ConvProblem, config: ConvConfig, caps: DeviceCaps): number {
  const plan = planConv(problem, config);
  const { lanes } = config;
  const outputs = (problem.batch * plan.outHeight * plan.outWidth * problem.outputPitch) / lanes;
  const finish = outputs * (2 + epilogueOperations(problem.epilogue));
  const putAside = plan.passes > 1 ? 2.5 * plan.passes * outputs : 0;
  const work = problem.batch * productCycles(problem, config, plan, caps) + finish + putAside;
  const perTask =
    (work + farCycles(problem, config, plan, caps)) / plan.tasks +
    copyCycles(config, plan, caps) +
    TASK_CYCLES;
  const rounds = Math.ceil(plan.tasks / caps.threads);
  const waiting = caps.threads > 1 ? END_SKEW : 0;
  return perTask * (rounds + waiting) * caps.threads;
}

/** Cycles of all products for one image. */
function productCycles(problem: ConvProblem, config: ConvConfig, plan: ConvPlan, caps: DeviceCaps): number {
  const { lanes, tileHeight, tileWidth } = config;
  const { panels } = plan;
  const runs = plan.passes > 1 ? plan.passes : problem.kernelHeight;
  const pixelBytes = 4 * problem.stride * plan.pixelPitch;
  const tile = (height: number, width: number, vectors: number): number =>
    panels.depth *
      tileCycles(height * width, vectors, lanes, caps) *
      conflictFactor(height * width, pixelBytes) +
    runs * RUN_CYCLES;
  const map = (vectors: number): number =>
    tileParts(plan.outHeight, tileHeight).reduce(
      (sum, [rows, height]) =>
        sum +
        tileParts(plan.outWidth, tileWidth).reduce(
          (inRow, [columns, width]) => inRow + rows * columns * tile(height, width, vectors),
          0,
        ),
      0,
    );
  return panels.fullPanels * map(panels.vectors) + (panels.lastVectors > 0 ? map(panels.lastVectors) : 0);
}

/** Cycles to fetch weights from beyond the second-level cache: once a task, or, if a pass does not fit it, once a tile. */
function farCycles(problem: ConvProblem, config: ConvConfig, plan: ConvPlan, caps: DeviceCaps): number {
  const { lanes, tileHeight, tileWidth } = config;
  const bytes = 4 * panelFloats(plan.panels);
  const bands = problem.batch * plan.rowBlocks * plan.columnBlocks;
  const passBytes = (4 * plan.panels.depth * plan.panels.vectors * lanes) / plan.passes;
  const tiles = Math.ceil(plan.outHeight / tileHeight) * Math.ceil(plan.outWidth / tileWidth);
  if (passBytes > caps.l2Bytes / 2) return (problem.batch * tiles * bytes) / FAR_BYTES_PER_CYCLE / 2;
  return bytes > caps.l2Bytes / 2 ? (bands * bytes) / FAR_BYTES_PER_CYCLE / 2 : 0;
}

/** Cycles that one task spends on its copy of the map. */
function copyCycles(config: ConvConfig, plan: ConvPlan, caps: DeviceCaps): number {
  if (plan.direct) return 0;
  const { lanes, bandGroups } = config;
  const floats = bandGroups * plan.planeFloats;
  const contiguous = plan.groups === 1 || plan.groupInputs % lanes === 0;
  // Planes beyond the first-level cache are read from the second many times over.
  const slow = plan.groups > 1 && 4 * plan.planeFloats > 0.75 * caps.l1Bytes ? 3 : 1;
  const rows = bandGroups * plan.bandHeight * 10;
  return rows + floats * (contiguous ? 2 / lanes : 3) * slow;
}
