import type { DeviceCaps } from '../../core/caps.ts';
import { tileCycles, tileShapes } from '../gemm/shapes.ts';
import { outputMap } from '../problem.ts';
import type { ConvWeightGradientProblem } from './problems.ts';
import { planOuter } from './outer-plan.ts';
import type { OuterConfig, OuterPlan } from './outer-plan.ts';
import { evenly, tileParts } from '../divide.ts';
import { END_SKEW } from '../gemm/partition.ts';

/** Candidates beyond the best few of each lane count are never measured, nor those that are clearly worse. */
const MAX_CONFIGS_PER_LANES = 4;
const CLEARLY_WORSE = 1.4;

/** Into how many parts channels and pixels may be cut. */
const PARTS = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64];
/** Pixels of a band: enough to pay for loading and storing the sums, few enough for the first-level cache. */
const BAND_PIXELS = [64, 128, 256];
/** Smaller blocks of channels would copy more than they multiply. */
const MIN_BLOCK = 64;
/** What partial sums may take. */
const MAX_PARTIAL_BYTES = 2 ** 25;

const TASK_CYCLES = 600;
const TILE_CYCLES = 30;
const ROW_CYCLES = 8;
const PIXEL_CYCLES = 4;
const FAR_BYTES_PER_CYCLE = 12;

interface Ranked {
  readonly config: OuterConfig;
  readonly cost: number;
}

/** The most promising configurations, best first: for each register tile the cut with the lowest estimate. */
export function outerConfigs(problem: ConvWeightGradientProblem, caps: DeviceCaps): OuterConfig[] {
  const found: Ranked[] = [];
  for (const lanes of caps.lanes) {
    const ranked = new Map<string, Ranked>();
    for (const shape of tileShapes(caps.vectorRegisters, caps.fma)) {
      let best: Ranked | undefined;
      for (const config of cuts(problem, lanes, shape.rows, shape.vectors, caps)) {
        const cost = estimateOuter(problem, config, caps);
        if (best === undefined || cost < best.cost) best = { config, cost };
      }
      if (best) ranked.set(JSON.stringify(best.config), best);
    }
    found.push(...[...ranked.values()].sort((a, b) => a.cost - b.cost).slice(0, MAX_CONFIGS_PER_LANES));
  }
  found.sort((a, b) => a.cost - b.cost);
  const limit = (found[0]?.cost ?? 0) * CLEARLY_WORSE;
  return found.filter((entry) => entry.cost <= limit).map((entry) => entry.config);
}

/** Cuts whose scratch memory stays in the second-level cache; if there are none, those that need least. */
function cuts(
  problem: ConvWeightGradientProblem,
  lanes: number,
  rows: number,
  vectors: number,
  caps: DeviceCaps,
): OuterConfig[] {
  const { groups, kernelWidth, dilation } = problem;
  const [inputs, outputs] = [problem.inputs / groups, problem.outputs / groups];
  const tileOutputs = Math.min(rows, outputs);
  const unit = kernelWidth > 1 && dilation === 1 ? lanes : vectors * lanes;
  const wholes: { readonly config: OuterConfig; readonly plan: OuterPlan }[] = [];
  for (const blockOutputs of blocks(outputs, tileOutputs)) {
    for (const blockInputs of blocks(inputs, Math.min(unit, inputs))) {
      for (const band of bandsOf(problem)) {
        const config = {
          lanes,
          tileOutputs,
          tileVectors: vectors,
          blockOutputs,
          blockInputs,
          ...band,
          splits: 1,
        };
        wholes.push({ config, plan: planOuter(problem, config) });
      }
    }
  }
  const least = wholes.reduce((floats, { plan }) => Math.min(floats, plan.scratchFloats), Infinity);
  const limit = Math.max(least, (0.6 * caps.l2Bytes) / 4);
  const found = new Map<string, OuterConfig>();
  for (const { config, plan } of wholes) {
    if (plan.scratchFloats > limit) continue;
    for (const splits of splitsOf(problem, plan, caps)) {
      const cut = { ...config, tileVectors: Math.min(vectors, plan.runVectors), splits };
      found.set(JSON.stringify(cut), cut);
    }
  }
  return [...found.values()];
}

/** Block sizes that cut a number of channels into about equal parts, each a whole number of units (or everything). */
function blocks(channels: number, unit: number): number[] {
  const units = Math.ceil(channels / unit);
  const sizes = new Set(PARTS.map((n) => Math.min(channels, Math.ceil(units / n) * unit)));
  return [...sizes].filter((size) => size >= Math.min(channels, MIN_BLOCK));
}

/** Bands of about so many pixels: parts of a row, or whole rows. */
function bandsOf(problem: ConvWeightGradientProblem): Pick<OuterConfig, 'bandRows' | 'bandColumns'>[] {
  const out = outputMap(problem);
  const bands = new Map<string, Pick<OuterConfig, 'bandRows' | 'bandColumns'>>();
  for (const pixels of BAND_PIXELS) {
    const bandColumns = evenly(out.width, pixels);
    const bandRows = evenly(out.height, Math.max(1, Math.round(pixels / bandColumns)));
    bands.set(`${bandRows} ${bandColumns}`, { bandRows, bandColumns });
  }
  return [...bands.values()];
}

/** Parts of the pixels, as many as give each thread a few tasks. */
function splitsOf(problem: ConvWeightGradientProblem, plan: OuterPlan, caps: DeviceCaps): number[] {
  const most = Math.min(
    plan.bands,
    Math.ceil((8 * caps.threads) / plan.tasks),
    Math.floor(MAX_PARTIAL_BYTES / (4 * problem.gradientPitch)),
  );
  const splits = PARTS.filter((n) => n === 1 || n <= most).map((n) => {
    const perSplit = Math.ceil(plan.bands / n);
    return Math.ceil(plan.bands / perSplit);
  });
  return [...new Set(splits)];
}

/** Expected cycles of one core, all threads together. */
export function estimateOuter(
  problem: ConvWeightGradientProblem,
  config: OuterConfig,
  caps: DeviceCaps,
): number {
  const plan = planOuter(problem, config);
  const { lanes, blockOutputs, blockInputs, bandRows, bandColumns, splits } = config;
  const pixels = bandRows * bandColumns;
  const bands = Math.ceil(plan.bands / splits);
  // The last band may be cut off, and so may be the last block of channels.
  const filled = (plan.outHeight * plan.outWidth) / (plan.rowBands * plan.columnBands * pixels);
  const copied = (channels: number): number => PIXEL_CYCLES + 2 * moves(channels, lanes);
  const copies =
    pixels * copied(blockOutputs) +
    plan.bandHeight * plan.bandWidth * copied(blockInputs) +
    plan.bandHeight * 10;
  const far =
    (4 * (pixels * blockOutputs + plan.bandHeight * plan.bandWidth * blockInputs)) / FAR_BYTES_PER_CYCLE;
  const taps = problem.kernelHeight * problem.kernelWidth;
  const block = blockOutputs * blockInputs * taps;
  const stores = taps === 1 ? (3 * block) / lanes : 2 * block;
  const clear = (blockOutputs * plan.sumPitch) / lanes;
  const products = bandCycles(config, plan, filled, caps);
  const task = bands * (products + filled * (copies + far)) + stores + clear + TASK_CYCLES;
  const rounds = Math.ceil(plan.tasks / caps.threads);
  const waiting = caps.threads > 1 ? END_SKEW : 0;
  const reduce = splits > 1 ? ((splits + 1) * problem.gradientPitch * 1.5) / lanes + 2000 : 0;
  return task * (rounds + waiting) * caps.threads + reduce;
}

/** Cycles of the products of one band. */
function bandCycles(config: OuterConfig, plan: OuterPlan, filled: number, caps: DeviceCaps): number {
  const { lanes, tileOutputs, tileVectors, blockOutputs, bandRows, bandColumns } = config;
  const tile = (outputs: number, vectors: number): number =>
    filled * bandRows * (bandColumns * tileCycles(outputs, vectors, lanes, caps) + ROW_CYCLES) +
    TILE_CYCLES +
    3 * outputs * vectors;
  return tileParts(blockOutputs, tileOutputs).reduce(
    (sum, [rows, outputs]) =>
      sum +
      tileParts(plan.runVectors, tileVectors).reduce(
        (inRow, [columns, vectors]) => inRow + plan.runs * rows * columns * tile(outputs, vectors),
        0,
      ),
    0,
  );
}

/** Moves of so many floats. */
function moves(floats: number, lanes: number): number {
  return Math.floor(floats / lanes) + (floats % lanes);
}
