import type { DeviceCaps } from '../../core/caps.ts';
import { outputMap } from '../problem.ts';
import type { DepthwiseProblem, Window } from '../problem.ts';
import type { DepthwiseWeightGradientProblem } from '../training/problems.ts';
import { multiplyAddCycles } from '../rates.ts';
import { realFrequencies } from './axis.ts';
import type { AxisPlan } from './axis.ts';
import { dftOperations } from './dft.ts';

/** Whether input and output are so large that a vector, a whole cache line, is best fetched early and stored past the caches. */
export function outgrowsCaches(problem: Window & { readonly pitch: number }, lanes: number): boolean {
  const out = outputMap(problem);
  const pixels = problem.batch * (problem.height * problem.width + out.height * out.width);
  return 4 * lanes === CACHE_LINE && 4 * pixels * problem.pitch > LAST_CACHE_BYTES;
}

/**
 * Whether a task finds its spectra neither where the task before left them nor with room to stay: other channels than that,
 * and more than a third of the second-level cache together with the plane.
 */
export function spectraAreFar(
  problem: DepthwiseProblem,
  lanes: number,
  v: AxisPlan,
  h: AxisPlan,
  caps: DeviceCaps,
): boolean {
  // Threads take tasks in turns, so that each has another block of channels if there are no more tasks of one than threads.
  const isShared = problem.batch * v.tiles * h.tiles > caps.threads && !outgrowsCaches(problem, lanes);
  const rows = v.n + Math.max(v.loads, v.tile);
  return !isShared && 8 * realFrequencies(h).length * rows * lanes > caps.l2Bytes / 3;
}

/** Vector operations of a complex transform along an axis. */
function lineOperations({ n, p, q }: AxisPlan): number {
  return q * dftOperations(p) + p * dftOperations(q) + 4 * n;
}

/** What of a last-level cache one program can count on, as a rule. */
const LAST_CACHE_BYTES = 12 * 2 ** 20;

/** Estimated cycles, of all threads together, of a depthwise convolution by the transforms v × h. */
export function planCycles(
  problem: DepthwiseProblem,
  lanes: number,
  v: AxisPlan,
  h: AxisPlan,
  caps: DeviceCaps,
): number {
  const columns = realFrequencies(h).length;

  const rows = (v.loads + Math.ceil(v.tile / v.stride)) * (lineOperations(h) / 2 + 2 * h.n);
  const copies = h.tiles > 1 || h.stride > 1 ? (v.loads + v.tile) * 2 * h.n : 0;
  const operations = rows + copies + columns * (2 * lineOperations(v) + 6 * v.n);
  const tasks = problem.batch * (problem.pitch / lanes) * v.tiles * h.tiles;
  const rounds = Math.ceil(tasks / caps.threads) * caps.threads;
  return (
    rounds *
    (operations * operationCycles(lanes, caps) +
      memoryCycles(lanes, v, h, caps, outgrowsCaches(problem, lanes)))
  );
}

/** Cycles that a tile waits for memory beyond the second-level cache. */
function memoryCycles(lanes: number, v: AxisPlan, h: AxisPlan, caps: DeviceCaps, far: boolean): number {
  const columns = realFrequencies(h).length;
  // A pixel's vector takes a whole cache line from memory, even if it is narrower.
  const pixelBytes = Math.max(CACHE_LINE, 4 * lanes) * (v.loads * h.loads + v.tile * h.tile);
  const spectrumBytes = 8 * columns * v.n * lanes;
  const planeBytes = 8 * columns * Math.max(v.loads, v.tile) * lanes;
  // Each of the three passes reads or writes the plane, the middle one both.
  const spilledBytes = 4 * Math.max(0, planeBytes - 0.7 * caps.l2Bytes);
  const pixelCycles = pixelBytes / (far ? MEMORY_PIXELS_BYTES_PER_CYCLE : FAR_BYTES_PER_CYCLE);
  return pixelCycles + (spectrumBytes + spilledBytes) / FAR_BYTES_PER_CYCLE;
}

const CACHE_LINE = 64;
/** What one core gets from the last-level cache or memory, on average. */
const FAR_BYTES_PER_CYCLE = 10;
/** What it gets of single cache lines of memory, fetched ahead and stored past the caches. */
const MEMORY_PIXELS_BYTES_PER_CYCLE = 6;

/**
 * Cycles of one vector operation, measured: narrower vectors than the machine's use half its units, partly hidden;
 * without fused multiply-adds some operations are two, which codelets in two stages make up for (`parkingPlace`).
 * Vectors of 16 take half as long where units are that wide, and slightly less: 7×7 taps on 56×56 pixels are the near thing.
 */
function operationCycles(lanes: number, caps: DeviceCaps): number {
  const widest = Math.max(...caps.lanes);
  if (lanes !== widest) return 0.5;
  if (lanes === 16) return (lanes > caps.fullRateLanes ? 0.6 : 0.57) * multiplyAddCycles(lanes, caps);
  return caps.fma || lanes <= 4 ? 0.6 : 0.75;
}

/** Estimated cycles, of all threads together, of a depthwise convolution's weight gradient by the transforms v × h. */
export function correlationCycles(
  problem: DepthwiseWeightGradientProblem,
  { lanes, splits }: { readonly lanes: number; readonly splits: number },
  v: AxisPlan,
  h: AxisPlan,
  caps: DeviceCaps,
): number {
  const columns = realFrequencies(h).length;
  const row = lineOperations(h) / 2 + 2 * h.n;
  const gradientRows = Math.ceil(v.tile / v.stride);
  const copies =
    (h.tiles > 1 ? 2 * v.loads * h.n : 0) + (h.tiles > 1 || h.stride > 1 ? gradientRows * 2 * h.tile : 0);
  const unit = (v.loads + gradientRows) * row + copies + columns * (2 * lineOperations(v) + 10 * v.n);
  const last =
    columns * lineOperations(v) +
    v.kernel * (row + h.kernel * lanes * (h.kernel < lanes ? 1.5 : 0.4)) +
    4 * columns * v.n;
  const units = Math.ceil((problem.batch * v.tiles * h.tiles) / splits);
  const pixelBytes =
    Math.max(CACHE_LINE, 4 * lanes) * (v.loads * h.loads + gradientRows * (h.tile / h.stride));
  const planeBytes = 8 * columns * (2 * Math.max(v.loads, v.tile) + v.n) * lanes;
  const spilledBytes = 2 * Math.max(0, planeBytes - 0.7 * caps.l2Bytes);
  const perUnit = unit * operationCycles(lanes, caps) + (pixelBytes + spilledBytes) / FAR_BYTES_PER_CYCLE;
  const tasks = Math.ceil(problem.channels / lanes) * splits;
  const rounds = Math.ceil(tasks / caps.threads) * caps.threads;
  const reduce = splits > 1 ? ((splits + 1) * problem.gradientPitch * 1.5) / lanes + 2000 : 0;
  return rounds * (units * perUnit + last * operationCycles(lanes, caps)) + reduce;
}
