import { outputMap } from '../problem.ts';
import type { Window } from '../problem.ts';
import { CODELET_LENGTHS } from './dft.ts';

/** One axis of a window problem. */
export interface AxisProblem {
  /** Pixels of the input and of the output. */
  readonly size: number;
  readonly outputs: number;
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
  /** Zeros before the first pixel. */
  readonly padding: number;
}

/**
 * How one axis is transformed: circular convolutions of length n = p·q, position = q·i + j ↔ (i < p, j < q),
 * frequency = k1 + p·k2 ↔ (k1 < p, k2 < q).
 *
 * Without tiling (tiles = 1) the window starts at the first pixel, and what wraps around meets only zeros
 * or lands where nobody looks. With tiling, overlap-save: tile t computes the stride-1 outputs
 * t·tile … (t + 1)·tile − 1 from a window of tile + extent − 1 pixels.
 */
export interface AxisPlan extends AxisProblem {
  readonly n: number;
  readonly p: number;
  readonly q: number;
  readonly tiles: number;
  /** Outputs at stride 1 that a tile computes; a multiple of the stride if there are several tiles. */
  readonly tile: number;
  /** Positions of the window that may hold pixels. */
  readonly loads: number;
  /** Where the kernel's first tap is placed: −shift. */
  readonly shift: number;
}

/** The longest transforms: products of two codelets. */
const MAX_LENGTH = 256;
/** Tiled windows longer than this gain nothing and outgrow the caches. */
const MAX_TILED_LENGTH = 144;

/** Tiles up to this length are offered even if longer ones waste less: their planes fit smaller caches. */
const SMALL_TILED_LENGTH = 100;

/** Pixels that a dilated kernel covers. */
export function kernelExtent(axis: AxisProblem): number {
  return axis.dilation * (axis.kernel - 1) + 1;
}

/** An axis with only the taps that meet a pixel anywhere: `first` to `first + kernel − 1` of the original ones. */
export interface MeetingTaps {
  readonly axis: AxisProblem;
  readonly first: number;
}

/**
 * Leaves out taps that lie beyond the map for all outputs, as most of a kernel that is wider than its map: 0 ≤
 * o·stride + k·dilation − padding < size for no output o. Undefined if none is left.
 */
export function meetingTaps(axis: AxisProblem): MeetingTaps | undefined {
  const { size, outputs, kernel, stride, dilation, padding } = axis;
  const reach = (outputs - 1) * stride;
  const first = Math.max(0, Math.ceil((padding - reach) / dilation));
  const end = Math.min(kernel, Math.floor((size - 1 + padding) / dilation) + 1);
  if (end <= first) return undefined;
  return { axis: { ...axis, kernel: end - first, padding: padding - first * dilation }, first };
}

/** The plan with codelets p and q; `tile` = 0 for none. Undefined if the length does not suffice. */
export function planAxis(axis: AxisProblem, p: number, q: number, tile: number): AxisPlan | undefined {
  const n = p * q;
  const extent = kernelExtent(axis);
  const span = (axis.outputs - 1) * axis.stride + 1;
  if (tile > 0) {
    if (tile + extent - 1 > n || tile % axis.stride !== 0) return undefined;
    return { ...axis, n, p, q, tiles: Math.ceil(span / tile), tile, loads: tile + extent - 1, shift: 0 };
  }
  // Taps that meet no pixel take no part, so that a kernel wider than twice its map asks for no more than one of that size.
  const met = meetingTaps(axis)?.axis;
  if (met === undefined) return undefined;
  const reached = span + kernelExtent(met) - 1 - met.padding;
  const loads = Math.min(axis.size, reached);
  if (loads < 1 || n < loads + met.padding || n < reached || n < span) return undefined;
  return { ...axis, n, p, q, tiles: 1, tile: span, loads, shift: axis.padding };
}

/** The most promising plans of an axis: the shortest untiled transforms, and tiles with little waste. */
export function axisPlans(axis: AxisProblem): AxisPlan[] {
  const extent = kernelExtent(axis);
  const untiled: AxisPlan[] = [];
  const tiled: AxisPlan[] = [];
  for (const p of CODELET_LENGTHS) {
    for (const q of CODELET_LENGTHS) {
      const n = p * q;
      if (q < 2 || p < 2 || n > MAX_LENGTH || Math.max(p, q) > 2.5 * Math.min(p, q) + 3) continue;
      const whole = planAxis(axis, p, q, 0);
      if (whole !== undefined) untiled.push(whole);
      const tile = Math.floor((n - extent + 1) / axis.stride) * axis.stride;
      if (n > MAX_TILED_LENGTH || tile < 1) continue;
      const plan = planAxis(axis, p, q, tile);
      if (plan !== undefined && plan.tiles > 1) tiled.push(plan);
    }
  }
  const small = tiled.filter((plan) => plan.n <= SMALL_TILED_LENGTH);
  return [...new Set([...shortest(untiled), ...shortest(tiled), ...shortest(small)])];
}

/** Two plans as a configuration has them: lengths, and tiles where there are several. */
export function planSizes(vertical: AxisPlan, horizontal: AxisPlan) {
  const tileOf = ({ tiles, tile }: AxisPlan): number => (tiles === 1 ? 0 : tile);
  return {
    ...{ heightP: vertical.p, heightQ: vertical.q, heightTile: tileOf(vertical) },
    ...{ widthP: horizontal.p, widthQ: horizontal.q, widthTile: tileOf(horizontal) },
  };
}

/** Plans of the two or so smallest total lengths, odd p first because real transforms are simplest then. */
function shortest(plans: readonly AxisPlan[]): AxisPlan[] {
  const total = (plan: AxisPlan): number => plan.n * plan.tiles;
  const sorted = [...plans].sort((a, b) => total(a) - total(b) || Math.abs(a.p - a.q) - Math.abs(b.p - b.q));
  const best = sorted[0];
  if (best === undefined) return [];
  return sorted.filter((plan) => total(plan) <= 1.13 * total(best)).slice(0, 5);
}

/** Groups of j < q whose positions q·i + j below `limit` have the same count of i. */
export function positionGroups(
  plan: AxisPlan,
  limit: number,
): readonly { readonly from: number; readonly to: number; readonly count: number }[] {
  const more = Math.floor(limit / plan.q);
  const rest = limit % plan.q;
  return [
    { from: 0, to: rest, count: more + 1 },
    { from: rest, to: plan.q, count: more },
  ].filter((group) => group.to > group.from && group.count > 0);
}

/**
 * The frequencies of a real transform in the order in which it is stored: half of all, since the others
 * are conjugates. k1 = 0 gives k2 ≤ q/2; 0 < k1 < p/2 gives all k2; k1 = p/2 gives k2 < q/2.
 */
export function realFrequencies(plan: AxisPlan): number[] {
  const { p, q } = plan;
  const frequencies: number[] = [];
  for (let k2 = 0; k2 <= q / 2; k2++) frequencies.push(p * k2);
  for (let k1 = 1; k1 < p / 2; k1++) for (let k2 = 0; k2 < q; k2++) frequencies.push(k1 + p * k2);
  if (p % 2 === 0) for (let k2 = 0; k2 < q / 2; k2++) frequencies.push(p / 2 + p * k2);
  return frequencies;
}

/** e^{−2πi·j·k1/n} as [cos, sin] pairs at 2·(j·p + k1). */
export function twiddleTable(plan: AxisPlan): Float32Array {
  const { n, p, q } = plan;
  const table = new Float32Array(2 * n);
  for (let j = 0; j < q; j++) {
    for (let k1 = 0; k1 < p; k1++) {
      const angle = (-2 * Math.PI * ((j * k1) % n)) / n;
      table[2 * (j * p + k1)] = Math.cos(angle);
      table[2 * (j * p + k1) + 1] = Math.sin(angle);
    }
  }
  return table;
}

/** Both axes of a depthwise convolution. */
export function depthwiseAxes(problem: Window): {
  readonly vertical: AxisProblem;
  readonly horizontal: AxisProblem;
} {
  const { stride, dilation } = problem;
  const out = outputMap(problem);
  return {
    vertical: {
      size: problem.height,
      outputs: out.height,
      kernel: problem.kernelHeight,
      padding: problem.padding.top,
      stride,
      dilation,
    },
    horizontal: {
      size: problem.width,
      outputs: out.width,
      kernel: problem.kernelWidth,
      padding: problem.padding.left,
      stride,
      dilation,
    },
  };
}
