import type { DeviceCaps } from '../../core/caps.ts';
import type { Config, KernelFamily } from '../family.ts';
import { axisPlans, depthwiseAxes, meetingTaps, planAxis, planSizes } from '../fft/axis.ts';
import type { AxisPlan } from '../fft/axis.ts';
import { correlationCycles, outgrowsCaches } from '../fft/cost.ts';
import { emitCorrelation } from '../fft/correlation.ts';
import type { CorrelationPlan } from '../fft/correlation.ts';
import type { DepthwiseWeightGradientProblem } from './problems.ts';
import { evenly } from '../divide.ts';

/** Codelet lengths p·q of each axis' transforms, outputs of a tile (0: the whole axis), and parts of the batch. */
export interface DepthwiseWeightGradientFftConfig extends Config {
  readonly lanes: number;
  readonly heightP: number;
  readonly heightQ: number;
  readonly heightTile: number;
  readonly widthP: number;
  readonly widthQ: number;
  readonly widthTile: number;
  /** Parts of the images (and tiles) that are summed by tasks of their own. */
  readonly splits: number;
  /** 0 if the maps may stay in the caches. Else the pixels that follow are hinted at, at the end those of so many tasks later. */
  readonly ahead: number;
}

/**
 * Gradient of a depthwise convolution to its kernel, in the frequency domain: Σ X(f) · conj(dY(f)) over all images and
 * tiles, then a single inverse transform, of which the taps are kept.
 */
export const depthwiseWeightGradientFft: KernelFamily<
  DepthwiseWeightGradientProblem,
  DepthwiseWeightGradientFftConfig
> = {
  name: 'depthwise-weight-gradient-fft',
  op: 'depthwise-weight-gradient',
  configs,
  estimate,
  emit: (problem, config) => emitCorrelation(problem, config, correlationPlan(problem, config)),
};

const MAX_CONFIGS_PER_LANES = 5;
/** Parts that the images may be cut into, and what their sums may take. */
const SPLITS = [1, 2, 3, 4, 6, 8, 12, 16];
const MAX_PARTIAL_BYTES = 2 ** 24;

function configs(
  problem: DepthwiseWeightGradientProblem,
  caps: DeviceCaps,
): DepthwiseWeightGradientFftConfig[] {
  const { vertical, horizontal } = depthwiseAxes(problem);
  const [rows, columns] = [meetingTaps(vertical), meetingTaps(horizontal)];
  if (rows === undefined || columns === undefined || problem.kernelHeight * problem.kernelWidth < 9)
    return [];
  const found: DepthwiseWeightGradientFftConfig[] = [];
  const verticalPlans = axisPlans(rows.axis);
  const horizontalPlans = axisPlans(columns.axis);
  for (const lanes of caps.lanes.filter((l) => problem.pitch % l === 0)) {
    const ranked: { readonly config: DepthwiseWeightGradientFftConfig; readonly cost: number }[] = [];
    for (const v of verticalPlans) {
      for (const h of horizontalPlans) {
        const whole = {
          lanes,
          ...planSizes(v, h),
          ahead: outgrowsCaches(problem, lanes) ? caps.threads : 0,
        };
        const [best] = splitsOf(problem, lanes, v, h, caps)
          .map((splits) => ({ ...whole, splits }))
          .map((config) => ({ config, cost: estimate(problem, config, caps) }))
          .sort((a, b) => a.cost - b.cost);
        if (best) ranked.push(best);
      }
    }
    ranked.sort((a, b) => a.cost - b.cost);
    found.push(...ranked.slice(0, MAX_CONFIGS_PER_LANES).map((entry) => entry.config));
  }
  return found;
}

/** As many parts as give each thread some tasks; channels alone often do. */
function splitsOf(
  problem: DepthwiseWeightGradientProblem,
  lanes: number,
  v: AxisPlan,
  h: AxisPlan,
  caps: DeviceCaps,
): number[] {
  const units = problem.batch * v.tiles * h.tiles;
  const most = Math.min(
    units,
    Math.ceil((8 * caps.threads * lanes) / problem.pitch),
    Math.floor(MAX_PARTIAL_BYTES / (4 * problem.gradientPitch)),
  );
  return [...new Set(SPLITS.filter((n) => n === 1 || n <= most).map((n) => evenly(units, n)))];
}

function estimate(
  problem: DepthwiseWeightGradientProblem,
  config: DepthwiseWeightGradientFftConfig,
  caps: DeviceCaps,
): number {
  const { vertical, horizontal } = correlationPlan(problem, config);
  return correlationCycles(problem, config, vertical, horizontal, caps);
}

function correlationPlan(
  problem: DepthwiseWeightGradientProblem,
  config: DepthwiseWeightGradientFftConfig,
): CorrelationPlan {
  const { vertical, horizontal } = depthwiseAxes(problem);
  const [rows, columns] = [meetingTaps(vertical), meetingTaps(horizontal)];
  const v = rows && planAxis(rows.axis, config.heightP, config.heightQ, config.heightTile);
  const h = columns && planAxis(columns.axis, config.widthP, config.widthQ, config.widthTile);
  if (!v || !h) throw new RangeError('the transform is too short for this problem');
  return { vertical: v, horizontal: h, firstTap: { row: rows.first, column: columns.first } };
}
