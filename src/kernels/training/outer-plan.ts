import { windowSpan } from '../conv/plan.ts';
import type { Config } from '../family.ts';
import { outputMap } from '../problem.ts';
import type { ConvWeightGradientProblem } from './problems.ts';

/**
 * How a convolution's weight gradient is cut. A task sums one block of outputs × inputs of one group, with all taps, over
 * one of `splits` parts of all bands; a band is bandRows × bandColumns pixels of one image's output map.
 */
export interface OuterConfig extends Config {
  readonly lanes: number;
  /** Register tile: output channels × vectors of (tap, input). */
  readonly tileOutputs: number;
  readonly tileVectors: number;
  readonly blockOutputs: number;
  readonly blockInputs: number;
  readonly bandRows: number;
  readonly bandColumns: number;
  readonly splits: number;
}

/** Everything that follows from a problem and a configuration. */
export interface OuterPlan {
  readonly outHeight: number;
  readonly outWidth: number;
  /** Channels of a group. */
  readonly inputs: number;
  readonly outputs: number;
  readonly outputBlocks: number;
  readonly inputBlocks: number;
  /** Pixels of x under a band, and their layout in scratch memory. */
  readonly bandHeight: number;
  readonly bandWidth: number;
  readonly pixelPitch: number;
  readonly bandFloats: number;
  /** Floats from one pixel of dy to the next in scratch memory. */
  readonly gradientPitch: number;
  /**
   * Products of a pixel of dy are taken with runs of neighbouring floats of x: a kernel row, or a tap if the pixels of a
   * row are not neighbours. Run `r` starts at tap (⌊r / rowRuns⌋, r % rowRuns).
   */
  readonly runs: number;
  readonly rowRuns: number;
  readonly runVectors: number;
  /** Floats of a run in `sums`, and of one output's sums. */
  readonly runPitch: number;
  readonly sumPitch: number;
  readonly columnBands: number;
  readonly rowBands: number;
  readonly bands: number;
  readonly tasks: number;
  readonly scratchFloats: number;
}

export function planOuter(problem: ConvWeightGradientProblem, config: OuterConfig): OuterPlan {
  const { batch, kernelHeight, kernelWidth, stride, dilation, groups } = problem;
  const { lanes, blockOutputs, blockInputs, bandRows, bandColumns } = config;
  const out = outputMap(problem);
  const [inputs, outputs] = [problem.inputs / groups, problem.outputs / groups];
  const outputBlocks = Math.ceil(outputs / blockOutputs);
  const inputBlocks = Math.ceil(inputs / blockInputs);
  const bandHeight = windowSpan(bandRows, kernelHeight, stride, dilation);
  const bandWidth = windowSpan(bandColumns, kernelWidth, stride, dilation);
  // A kernel row is one run if its pixels lie side by side without gaps.
  const joined = kernelWidth > 1 && dilation === 1;
  const rowRuns = joined ? 1 : kernelWidth;
  const runs = kernelHeight * rowRuns;
  const pixelPitch = joined ? blockInputs : oddPitch(blockInputs, lanes);
  const runVectors = Math.ceil((joined ? kernelWidth * blockInputs : blockInputs) / lanes);
  const bandFloats = bandHeight * bandWidth * pixelPitch + lanes;
  const gradientPitch = oddPitch(blockOutputs, lanes);
  const runPitch = runVectors * lanes;
  const sumPitch = runs * runPitch;
  const columnBands = Math.ceil(out.width / bandColumns);
  const rowBands = Math.ceil(out.height / bandRows);
  return {
    outHeight: out.height,
    outWidth: out.width,
    inputs,
    outputs,
    outputBlocks,
    inputBlocks,
    bandHeight,
    bandWidth,
    pixelPitch,
    bandFloats,
    gradientPitch,
    runs,
    rowRuns,
    runVectors,
    runPitch,
    sumPitch,
    columnBands,
    rowBands,
    bands: batch * columnBands * rowBands,
    tasks: config.splits * groups * outputBlocks * inputBlocks,
    scratchFloats: bandFloats + bandRows * bandColumns * gradientPitch + blockOutputs * sumPitch,
  };
}

/** Whole vectors, but an odd number of cache lines, so that pixels spread over all sets of the caches. */
function oddPitch(floats: number, lanes: number): number {
  const pitch = Math.ceil(floats / lanes) * lanes;
  return pitch % 32 === 0 ? pitch + 16 : pitch;
}
