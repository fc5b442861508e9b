import { gcd } from '../divide.ts';
import type { Config } from '../family.ts';
import { panelCount, panelsOf } from '../gemm/panels.ts';
import type { Panels } from '../gemm/panels.ts';
import { outputMap } from '../problem.ts';
import type { ConvProblem } from '../problem.ts';

/**
 * How a convolution is cut. A task computes `bandRows` × `bandColumns` outputs for `panels` panels of each of
 * `bandGroups` groups, in register tiles of tileHeight · tileWidth pixels × tileVectors vectors.
 */
export interface ConvConfig extends Config {
  readonly lanes: number;
  readonly tileHeight: number;
  readonly tileWidth: number;
  readonly tileVectors: number;
  readonly bandRows: number;
  readonly bandColumns: number;
  readonly bandGroups: number;
  readonly panels: number;
  /** Taps summed before the accumulators are put aside: all, one kernel row, or one. */
  readonly passTaps: number;
  /**
   * How many panels on the weights lie that a thread needs next, which it asks for while it computes; 0 if weights stay in
   * the second-level cache.
   */
  readonly panelsAhead: number;
  /** Steps of the innermost loop's body, at most. */
  readonly unroll: number;
}

/** Everything that follows from a problem and a configuration. */
export interface ConvPlan {
  readonly outHeight: number;
  readonly outWidth: number;
  /**
   * Groups whose outputs do not fill whole vectors are merged, with zeros for weights between different
   * groups; the sizes below are those of merged groups. The last one may lack inputs or outputs.
   */
  readonly merged: number;
  readonly groups: number;
  readonly groupInputs: number;
  /** All panels of weights, group after group; depth is taps · groupInputs in the order (ky, kx, input). */
  readonly panels: Panels;
  readonly groupPanels: number;
  /** Whether windows are read from the map itself. Otherwise they are read from a copy with zeros around it. */
  readonly direct: boolean;
  /** Pixels of the copy that all outputs of a task need. */
  readonly bandHeight: number;
  readonly bandWidth: number;
  /** Floats from one pixel to the next where windows are read, and from one row of pixels to the next. */
  readonly pixelPitch: number;
  readonly rowPitch: number;
  /** Floats of the copy of one group. */
  readonly planeFloats: number;
  readonly rowBlocks: number;
  readonly columnBlocks: number;
  readonly groupBlocks: number;
  readonly panelBlocks: number;
  readonly tasks: number;
  /** Parts of the sum over taps. */
  readonly passes: number;
}

export function planConv(problem: ConvProblem, config: ConvConfig): ConvPlan {
  const { batch, kernelHeight, kernelWidth, stride, dilation, inputPitch } = problem;
  const { lanes, bandRows, bandColumns, bandGroups } = config;
  const { height: outHeight, width: outWidth } = outputMap(problem);
  const { merged, groups, groupInputs, groupVectors } = mergeGroups(problem, lanes);
  const taps = kernelHeight * kernelWidth;
  const panels = panelsOf(taps * groupInputs, problem.outputPitch, lanes, config.tileVectors);
  const groupPanels = groups === 1 ? panelCount(panels) : groupVectors / config.tileVectors;
  const whole = groups * groupInputs <= problem.inputs;
  const direct = !needsPadding(problem) && whole && (groups === 1 || taps === 1);
  const bandHeight = windowSpan(bandRows, kernelHeight, stride, dilation);
  const bandWidth = windowSpan(bandColumns, kernelWidth, stride, dilation);
  const pixelPitch = direct || groups === 1 ? inputPitch : groupInputs;
  const rowBlocks = Math.ceil(outHeight / bandRows);
  const columnBlocks = Math.ceil(outWidth / bandColumns);
  const groupBlocks = groups / bandGroups;
  const panelBlocks = Math.ceil(groupPanels / config.panels);
  return {
    outHeight,
    outWidth,
    merged,
    groups,
    groupInputs,
    panels,
    groupPanels,
    direct,
    bandHeight,
    bandWidth,
    pixelPitch,
    rowPitch: (direct ? problem.width : bandWidth) * pixelPitch,
    planeFloats: direct ? 0 : bandHeight * bandWidth * pixelPitch,
    rowBlocks,
    columnBlocks,
    groupBlocks,
    panelBlocks,
    tasks: batch * rowBlocks * columnBlocks * groupBlocks * panelBlocks,
    passes: taps / config.passTaps,
  };
}

/** Groups as the kernel sees them: with outputs in whole vectors. */
export interface MergedGroups {
  readonly merged: number;
  readonly groups: number;
  readonly groupInputs: number;
  readonly groupVectors: number;
}

export function mergeGroups(problem: ConvProblem, lanes: number): MergedGroups {
  const { inputs, outputs, groups } = problem;
  const vectors = problem.outputPitch / lanes;
  const merged = lanes / gcd(outputs / groups, lanes);
  if (merged >= groups) return { merged: groups, groups: 1, groupInputs: inputs, groupVectors: vectors };
  const groupVectors = (merged * outputs) / groups / lanes;
  return {
    merged,
    groups: Math.ceil(vectors / groupVectors),
    groupInputs: (merged * inputs) / groups,
    groupVectors,
  };
}

/** Pixels under `outputs` neighbouring windows along one axis. */
export function windowSpan(outputs: number, kernel: number, stride: number, dilation: number): number {
  return (outputs - 1) * stride + dilation * (kernel - 1) + 1;
}

/** Whether any window sticks out of the map. */
function needsPadding(problem: ConvProblem): boolean {
  const { height, width, kernelHeight, kernelWidth, stride, dilation, padding } = problem;
  const out = outputMap(problem);
  return (
    padding.top > 0 ||
    padding.left > 0 ||
    windowSpan(out.height, kernelHeight, stride, dilation) > height ||
    windowSpan(out.width, kernelWidth, stride, dilation) > width
  );
}
