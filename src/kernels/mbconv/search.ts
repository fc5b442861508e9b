import type { DeviceCaps } from '../../core/caps.ts';
import { epilogueOperations } from '../epilogue.ts';
import { rereadBytes } from '../ffn/search.ts';
import { makespan } from '../gemm/partition.ts';
import { finishCycles, tileCycles, tileShapes, unrollFor } from '../gemm/shapes.ts';
import type { TileShape } from '../gemm/shapes.ts';
import { suitsGroups } from '../group-broadcast.ts';
import { activationOperations } from '../math.ts';
import { outputMap } from '../problem.ts';
import type { MBConvProblem } from '../problem.ts';
import { multiplyAddCycles } from '../rates.ts';
import { planMBConv } from './plan.ts';
import type { MBConvConfig, MBConvPlan } from './plan.ts';
import { bestOfEachKind } from '../family.ts';
import { evenly } from '../divide.ts';

/** Candidates for each pair of lane counts. */
const OFFERED = 4;

export function mbConvConfigs(problem: MBConvProblem, caps: DeviceCaps): MBConvConfig[] {
  return lanePairs(problem, caps).flatMap((lanes) =>
    bestOfEachKind(
      tilings(problem, lanes, caps),
      OFFERED,
      (config) => estimateMBConv(problem, config, caps),
      (config) => `${config.upVectors} ${config.chunkTasks > 0}`,
    ),
  );
}

type LanePair = Pick<MBConvConfig, 'lanes' | 'downLanes'>;

/** Vectors of hidden channels lie within groups, or are whole groups; those of outputs divide the pitch. */
function lanePairs(problem: MBConvProblem, caps: DeviceCaps): LanePair[] {
  const { hidden, groups, inputPitch, outputPitch, expand, dilation } = problem;
  const { kernelHeight, kernelWidth, stride } = problem;
  if (dilation > 1 || Math.min(kernelHeight, kernelWidth) < stride) return [];
  const groupWidth = hidden / groups;
  const forHidden = caps.lanes.filter(
    (lanes) =>
      (expand !== undefined || inputPitch % lanes === 0) &&
      (groupWidth === 1 || (suitsGroups(lanes, groupWidth) && hidden % lanes === 0)),
  );
  const forOutputs = caps.lanes.filter((lanes) => outputPitch % lanes === 0);
  return forHidden.flatMap((lanes) => {
    const hiddenFloats = Math.ceil(hidden / lanes) * lanes;
    const widest = forOutputs.find((downLanes) => hiddenFloats % downLanes === 0);
    const same = forOutputs.find((downLanes) => downLanes === lanes);
    return [...new Set([widest, same])].flatMap((downLanes) =>
      downLanes === undefined ? [] : [{ lanes, downLanes }],
    );
  });
}

function tilings(problem: MBConvProblem, { lanes, downLanes }: LanePair, caps: DeviceCaps): MBConvConfig[] {
  const { batch, width, hidden, groups, outputPitch, kernelWidth, kernelHeight, stride } = problem;
  const out = outputMap(problem);
  const hiddenVectors = Math.ceil(hidden / lanes);
  const groupVectors = Math.max(1, hidden / groups / lanes);
  const shapes = tileShapes(caps.vectorRegisters, caps.fma);
  const down = projectionTile(shapes, out.height * out.width, outputPitch / downLanes, downLanes, caps);
  const pixels = evenly(out.width, Math.max(2, Math.min(16, caps.vectorRegisters - kernelWidth - 3)));
  const rowTileCount = Math.ceil((out.height * out.width) / down.rows);
  const found: MBConvConfig[] = [];
  for (const shape of shapes) {
    const upVectors = Math.min(shape.vectors, hiddenVectors);
    if (upVectors % groupVectors !== 0) continue;
    const common = {
      lanes,
      downLanes,
      upRows: evenly(width, shape.rows),
      upVectors,
      downRows: down.rows,
      downVectors: down.vectors,
      pixels,
      unroll: unrollFor(caps),
    };
    for (const bandRows of bandSizes(out.height)) {
      const bandBytes = 4 * (bandRows * stride + kernelHeight) * (width + kernelWidth) * upVectors * lanes;
      if (bandRows > 2 && bandBytes > caps.l2Bytes / 4) continue;
      if (lanes === downLanes) found.push({ ...common, bandRows, chunkTasks: 0, rowTasks: 0 });
      const chunks = Math.ceil(hiddenVectors / upVectors);
      const perImage = Math.max(1, Math.ceil((4 * caps.threads) / batch));
      const [chunkTasks, rowTasks] = [evenly(chunks, perImage), evenly(rowTileCount, perImage)];
      found.push({ ...common, bandRows, chunkTasks, rowTasks });
    }
  }
  return found;
}

/**
 * Never the whole map: with a single band, whose bounds compilers know, GCC 12 versions the loops over rows, and register
 * tiles end up in memory. Measured: half as quick.
 */
function bandSizes(height: number): number[] {
  return [...new Set([2, 4, 8, 14].map((rows) => evenly(height, Math.min(rows, Math.ceil(height / 2)))))];
}

/** The tile that projects an image's map in the least time. */
function projectionTile(
  shapes: readonly TileShape[],
  pixels: number,
  vectors: number,
  lanes: number,
  caps: DeviceCaps,
): TileShape {
  const cost = (shape: TileShape): number =>
    gridCycles(pixels, vectors, shape, (rows, count) => tileCycles(rows, count, lanes, caps));
  const fitting = shapes.map((shape) => ({
    rows: evenly(pixels, shape.rows),
    vectors: Math.min(shape.vectors, vectors),
  }));
  const [first = { rows: 1, vectors: 1 }] = fitting;
  return fitting.reduce((best, shape) => (cost(shape) < cost(best) ? shape : best), first);
}

/** The cost of rows × vectors in tiles, with smaller ones at the ends. */
function gridCycles(
  rows: number,
  vectors: number,
  tile: TileShape,
  cycles: (rows: number, vectors: number) => number,
): number {
  const [restRows, restVectors] = [rows % tile.rows, vectors % tile.vectors];
  const row = (count: number): number =>
    Math.floor(vectors / tile.vectors) * cycles(count, tile.vectors) +
    (restVectors > 0 ? cycles(count, restVectors) : 0);
  return Math.floor(rows / tile.rows) * row(tile.rows) + (restRows > 0 ? row(restRows) : 0);
}

/** Cycles around the inner loops of register tiles: of products, and of the spatial convolution. */
const TILE_CYCLES = 50;
const SPATIAL_TILE_CYCLES = 12;
/** Bytes a cycle at which maps and bands come from the second-level cache, and maps from the last-level one. */
const NEAR_BYTES_PER_CYCLE = 32;
const FAR_BYTES_PER_CYCLE = 12;
/** What a projection costs more whose vectors are narrower than the widest: measured. */
const NARROW_COST = 1.08;
/** What the same loops cost more in one function than in several, where registers are few: measured in WebAssembly. */
const LARGE_FUNCTION_COST = 1.03;
/** Cycles in which threads meet between kernels. */
const STEP_CYCLES = 4000;

export function estimateMBConv(problem: MBConvProblem, config: MBConvConfig, caps: DeviceCaps): number {
  const { batch, height, width, outputPitch, inputPitch, squeeze } = problem;
  const { chunkTasks, rowTasks, downLanes } = config;
  const plan = planMBConv(problem, config);
  const large = caps.vectorRegisters < 32 ? LARGE_FUNCTION_COST : 1;
  const hidden =
    large * (expansionCycles(problem, config, plan, caps) + spatialCycles(problem, config, plan, caps));
  const project = large * projectCycles(problem, config, plan, caps);
  // Two products of a vector with a matrix, and a logistic function.
  const gate = squeeze ? (2 * plan.hiddenFloats * (squeeze.channels + 20)) / downLanes + 1000 : 0;
  const mapBytes = 4 * plan.outPixels * plan.mapStride;
  const weightBytes = 4 * plan.layout.floats;
  const inputBytes = 4 * height * width * inputPitch;
  const outputBytes = 4 * plan.outPixels * outputPitch;
  const rereading = rereadBytes(weightBytes, caps) / FAR_BYTES_PER_CYCLE;
  const span = (tasks: number, cycles: number, bytes: number): number =>
    makespan(
      { rowTiles: tasks, panels: 1, cycles: () => cycles, rowBytes: bytes, rowBlockBytes: 0, panelBytes: 0 },
      { rowTiles: 1, panels: 1 },
      caps,
    );
  const isNear = chunkTasks === 0 && mapBytes <= caps.l2Bytes / 2;
  const handing = mapBytes / (isNear ? NEAR_BYTES_PER_CYCLE : FAR_BYTES_PER_CYCLE);
  if (chunkTasks === 0) {
    const cycles = hidden + gate + project + 2 * handing + rereading;
    return caps.threads * span(batch, cycles, inputBytes + outputBytes) + weightBytes / 8;
  }
  const first = span(batch * chunkTasks, (hidden + handing + rereading / 2) / chunkTasks, inputBytes);
  const second = span(
    batch * rowTasks,
    (project + handing) / rowTasks + gate + rereading / 2,
    outputBytes / rowTasks,
  );
  return caps.threads * (first + second + STEP_CYCLES) + weightBytes / 8;
}

function expansionCycles(
  { height, width, expand }: MBConvProblem,
  { upRows, lanes, upVectors }: MBConvConfig,
  { hiddenFloats, layout }: MBConvPlan,
  caps: DeviceCaps,
): number {
  const depth = layout.up?.panels.depth ?? 0;
  const operations = expand ? activationOperations(expand.activation) + (expand.bias ? 1 : 0) : 0;
  const tile = (rows: number, vectors: number): number =>
    expand
      ? depth * tileCycles(rows, vectors, lanes, caps) +
        finishCycles(rows, vectors, operations, caps) +
        TILE_CYCLES
      : 2 * rows * vectors;
  const vectors = hiddenFloats / lanes;
  const row = gridCycles(width, vectors, { rows: upRows, vectors: upVectors }, tile);
  return height * row;
}

function spatialCycles(
  problem: MBConvProblem,
  { lanes, pixels, bandRows, upVectors }: MBConvConfig,
  plan: MBConvPlan,
  caps: DeviceCaps,
): number {
  const { hidden, groups, spatial, kernelHeight, kernelWidth, stride, squeeze } = problem;
  const { outHeight, outWidth, bandWidth, sharedRows, hiddenFloats } = plan;
  const vectors = hiddenFloats / lanes;
  const half = multiplyAddCycles(lanes, caps);
  const steps = (hidden / groups) * kernelHeight;
  // One for each group of a vector.
  const broadcasts = Math.max(1, (lanes * groups) / hidden);
  const operations = activationOperations(spatial.activation) + (spatial.bias ? 1 : 0) + (squeeze ? 1 : 0);
  const tile = (count: number): number => {
    const inputs = (count - 1) * stride + kernelWidth;
    const loads = plan.depthwise ? (inputs + kernelWidth) * half : (inputs * broadcasts + kernelWidth) / 2;
    const arithmetic = count * kernelWidth * half * (caps.fma ? 1 : 2);
    return (
      steps * (Math.max(arithmetic, loads) + (plan.depthwise ? 2 : 5)) +
      finishCycles(count, 1, operations, caps) +
      SPATIAL_TILE_CYCLES
    );
  };
  const row = gridCycles(outWidth, 1, { rows: pixels, vectors: 1 }, tile);
  // Rows that bands share are copied; bands beyond the first-level cache come from the next one.
  const bands = Math.ceil(outHeight / bandRows);
  const rowBytes = 4 * bandWidth * lanes;
  const copying = ((bands - 1) * sharedRows * 2 * rowBytes) / NEAR_BYTES_PER_CYCLE;
  const isNear = plan.bandHeight * rowBytes * upVectors <= caps.l1Bytes / 2;
  const passing = isNear ? 0 : (2 * outHeight * stride * rowBytes) / NEAR_BYTES_PER_CYCLE;
  return vectors * (outHeight * row + copying + passing);
}

function projectCycles(
  problem: MBConvProblem,
  { downRows, downLanes }: MBConvConfig,
  { layout, outPixels, hiddenFloats }: MBConvPlan,
  caps: DeviceCaps,
): number {
  const { panels } = layout.down;
  const operations = epilogueOperations(problem.epilogue);
  const tile = (rows: number, vectors: number): number =>
    panels.depth * tileCycles(rows, vectors, downLanes, caps) +
    finishCycles(rows, vectors, operations, caps) +
    TILE_CYCLES;
  const shape = { rows: downRows, vectors: panels.vectors };
  const product = gridCycles(outPixels, problem.outputPitch / downLanes, shape, tile);
  const isNarrow = downLanes < Math.max(...caps.lanes);
  const gating = problem.squeeze ? (outPixels * hiddenFloats * 2) / downLanes : 0;
  return product * (isNarrow ? NARROW_COST : 1) + gating;
}
