import { quantile } from '../bench/compare.ts';
import { invalidArgument } from '../core/errors.ts';
import { elements } from '../graph/graph.ts';
import { costOf } from '../graph/lower.ts';
import { depthwiseFft } from '../kernels/depthwise-fft.ts';
import { pointwiseBf16 } from '../kernels/pointwise-bf16.ts';
import { outputSize, samePadding } from '../kernels/problem.ts';
import type { Problem, Window } from '../kernels/problem.ts';
import type { Plan, PlannedNode } from '../runtime/plan.ts';
import { peakOf } from './devices.ts';
import type { DeviceRecord } from './devices.ts';
import { efficiencyOf } from './efficiency.ts';
import { movingSeconds } from './waterline.ts';

/*
 * Is the lab honest? No network may run faster than the lab says that it can. The bound here is the waterline of the
 * kernels that run, with nothing in it that a kernel could avoid:
 *
 * - Maps that caches hold need no DRAM: the record of a measured machine says what they hold and how fast they are. At a
 *   batch of one, most maps of a network lie there, and a bound by DRAM alone would be exceeded.
 * - Taps on padding are counted as operations, as papers do, but need not be computed.
 * - A transform has no operations of the direct computation at all, so only its bytes bound it: efficiencies and bounds
 *   of networks with large kernels may be above 100%.
 * - A layer whose stride is larger than its window leaves pixels out.
 */

/** A network's measured efficiency beside what bounds it. */
export interface Honesty {
  /** Operations of one run, as counted: two for each multiply-accumulate. */
  readonly ops: number;
  /** Median of the samples. */
  readonly measuredMs: number;
  /** Interquartile range over median. */
  readonly spread: number;
  /** n / (R · t). */
  readonly efficiency: number;
  /** Σ over kernels of the least time, in milliseconds. */
  readonly leastMs: number;
  /** n / (R · T): what the efficiency cannot exceed. */
  readonly bound: number;
  /** Whether the efficiency is within the bound, give or take the spread. */
  readonly honest: boolean;
}

/**
 * Compares measured times of a network with the least time of the kernels that run it, in float32.
 *
 * @param device the record of the machine that ran it
 * @param samplesMs milliseconds of one run each
 * Throws `invalid-argument` without samples, for a device without a float32 rate, and for plans with bfloat16 products.
 */
export function checkHonesty(plan: Plan, device: DeviceRecord, samplesMs: readonly number[]): Honesty {
  const sorted = samplesMs.toSorted((a, b) => a - b);
  if (sorted.length === 0 || !sorted.every((sample) => sample > 0)) {
    throw invalidArgument('Efficiencies need at least one measured time, each above zero.');
  }
  if (plan.nodes.some(({ candidate }) => candidate.family === pointwiseBf16.name)) {
    throw invalidArgument('The bound is that of float32: measure the network with precision "float32".');
  }
  const rate = peakOf(device, 'f32');
  const ops = plan.nodes.reduce((sum, { node }) => sum + 2 * costOf(node).macs, 0);
  const leastMs = 1e3 * plan.nodes.reduce((sum, node) => sum + leastSeconds(node, device, rate), 0);
  const measuredMs = quantile(sorted, 0.5);
  const spread = (quantile(sorted, 0.75) - quantile(sorted, 0.25)) / measuredMs;
  const { efficiency } = efficiencyOf(ops, measuredMs, rate);
  const bound = efficiencyOf(ops, leastMs, rate).efficiency;
  return {
    ...{ ops, measuredMs, spread, efficiency, leastMs, bound },
    honest: efficiency <= bound * (1 + spread),
  };
}

function leastSeconds(planned: PlannedNode, device: DeviceRecord, rate: number): number {
  const { macs, bytes } = costOf(planned.node);
  const isTransform = planned.candidate.family === depthwiseFft.name;
  const leastOps = isTransform ? 0 : 2 * macs * tapsOnPixels(planned.problem);
  const moving = movingSeconds(bytes - skippedBytes(planned), device, 'caches');
  return Math.max(leastOps / rate, moving);
}

/** Which part of a convolution's taps meets pixels. A fused block counts as if all of it were its convolution. */
function tapsOnPixels(problem: Problem): number {
  const window = windowOf(problem);
  if (window === undefined) return 1;
  const { height, width, kernelHeight, kernelWidth, stride, dilation, padding } = window;
  const share = (size: number, kernel: number, before: number, after: number): number => {
    const outputs = outputSize(size, kernel, before, after, stride, dilation);
    let taps = 0;
    for (let i = 0; i < outputs; i++) {
      for (let tap = 0; tap < kernel; tap++) {
        const at = i * stride + tap * dilation - before;
        if (at >= 0 && at < size) taps++;
      }
    }
    return taps / (outputs * kernel);
  };
  return (
    share(height, kernelHeight, padding.top, padding.bottom) *
    share(width, kernelWidth, padding.left, padding.right)
  );
}

function windowOf(problem: Problem): Window | undefined {
  if (!('kernelHeight' in problem && 'height' in problem && 'batch' in problem)) return undefined;
  if ('padding' in problem && 'dilation' in problem) return problem;
  // A ConvFirst block's convolution keeps the map's size; a stride comes after it.
  const padding = samePadding(problem.kernelHeight, problem.kernelWidth);
  return { ...problem, stride: 1, dilation: 1, padding };
}

/** Bytes of pixels that no window covers. */
function skippedBytes({ node, problem }: PlannedNode): number {
  if (problem.op !== 'conv' && problem.op !== 'depthwise') return 0;
  const { kernelHeight, kernelWidth, stride } = problem;
  const covered = Math.min(1, kernelHeight / stride) * Math.min(1, kernelWidth / stride);
  const [input] = node.inputs;
  return input === undefined ? 0 : 4 * elements(input.shape) * (1 - covered);
}
