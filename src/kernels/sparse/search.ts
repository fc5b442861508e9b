import type { DeviceCaps } from '../../core/caps.ts';
import type { DepthwiseProblem } from '../problem.ts';
import { multiplyAddCycles } from '../rates.ts';
import { planSparse, sparseAxes } from './plan.ts';
import type { DepthwiseSparseConfig } from './plan.ts';

/** Configurations for problems whose zero taps are known to be many; with a stride, most loads would be of no use. */
export function sparseConfigs(problem: DepthwiseProblem, caps: DeviceCaps): DepthwiseSparseConfig[] {
  if (problem.density === undefined || problem.stride !== 1) return [];
  const found: DepthwiseSparseConfig[] = [];
  for (const lanes of caps.lanes.filter((count) => count >= 4 && problem.pitch % count === 0)) {
    for (const along of ['width', 'height'] as const) {
      const axes = sparseAxes(problem, along);
      const spacing = Math.ceil(axes.along.outputs / lanes);
      for (const [tileLines, tileVectors] of tiles(axes.lines.outputs, spacing, caps)) {
        const fitting = groups(lanes)
          .map((group) => {
            const count = Math.ceil(problem.pitch / lanes / group) * problem.batch;
            const bands = Math.ceil((2 * caps.threads) / count);
            const band = Math.ceil(axes.lines.outputs / bands / tileLines) * tileLines;
            return { lanes, along, tileLines, tileVectors, group, band };
          })
          .find((config) => 4 * planSparse(problem, config).scratchFloats <= 2 * caps.l2Bytes);
        if (fitting) found.push(fitting);
      }
    }
  }
  const estimate = (config: DepthwiseSparseConfig): number => sparseEstimate(problem, config, caps);
  return found.sort((a, b) => estimate(a) - estimate(b)).slice(0, CHOICES);
}

/** Configurations that are worth measuring: estimates tell the others apart well enough. */
const CHOICES = 6;

/** Vectors of channels that a task may take: those of a cache line, or fewer where the map is large. */
function groups(lanes: number): number[] {
  return lanes < 16 ? [16 / lanes, ...groups(2 * lanes)] : [1];
}

/** Register tiles of lines × vectors. */
function tiles(lines: number, vectors: number, { vectorRegisters, fma }: DeviceCaps): [number, number][] {
  const room = vectorRegisters > 16 ? 28 : fma ? 12 : 10;
  const found: [number, number][] = [];
  for (let wide = 1; wide <= Math.min(vectors, room); wide++) {
    if (vectors % wide !== 0) continue;
    const most = Math.min(Math.floor(room / wide), lines);
    const count = Math.ceil(lines / most);
    found.push([Math.ceil(lines / count), wide]);
    if (most >= 8) found.push([Math.ceil(lines / Math.ceil(lines / (most / 2))), wide]);
  }
  return found;
}

export function sparseEstimate(
  problem: DepthwiseProblem,
  config: DepthwiseSparseConfig,
  caps: DeviceCaps,
): number {
  const { density = 1, dilation, batch, pitch } = problem;
  const { lanes, tileLines, tileVectors, band } = config;
  const plan = planSparse(problem, config);
  const { along, lines, spacing } = plan;
  // Lines of taps that meet a tile, and lines of pixels that bands read.
  let met = 0;
  let read = 0;
  for (let line = 0; line < plan.bands * band; line += tileLines) {
    const first = Math.max(0, Math.ceil((lines.before - tileLines + 1 - line) / dilation));
    const end = Math.min(lines.taps, Math.floor((lines.size - 1 + lines.before - line) / dilation) + 1);
    met += Math.max(0, end - first);
  }
  for (let line = 0; line < plan.bands * band; line += band) {
    const first = Math.max(0, line - lines.before);
    const end = Math.min(lines.size, line + band + (lines.taps - 1) * dilation - lines.before);
    read += Math.max(0, end - first);
  }
  // Vectors that a processor takes in halves count as two.
  const wide = 2 * multiplyAddCycles(lanes, caps);
  const load = lanes === 4 ? 1.1 : 0.6 * wide;
  const taps = met * along.taps * density * (spacing / tileVectors) * (tileLines * tileVectors * load + 4);
  const tileEnds = plan.bands * band * spacing * (2 * wide + 24 / (tileLines * tileVectors));
  const copies = read * plan.tapVectors * 1.5 * wide;
  const pixels = read * along.size + along.outputs * lines.outputs;
  // Pixels above each other share sets of the cache.
  const transposes = pixels * (lanes === 4 ? 1 : 0.6) * (config.along === 'height' ? 1.5 : 1);
  return batch * pitch * (taps + tileEnds + copies + transposes);
}
