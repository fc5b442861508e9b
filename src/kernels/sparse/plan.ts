import { roundUp } from '../divide.ts';
import { outputMap } from '../problem.ts';
import type { DepthwiseProblem } from '../problem.ts';
import type { Config } from '../family.ts';

/** How a sparse depthwise convolution is cut. */
export interface DepthwiseSparseConfig extends Config {
  readonly lanes: number;
  /** The axis along which a vector holds pixels of one channel; the other one counts lines. */
  readonly along: 'width' | 'height';
  /** Lines of a register tile. */
  readonly tileLines: number;
  /** Vectors of a line in a register tile. */
  readonly tileVectors: number;
  /** Vectors of channels that a task takes, fewer in the last one. */
  readonly group: number;
  /** Output lines of a task; a multiple of `tileLines`. */
  readonly band: number;
}

/** One axis of the convolution. */
export interface SparseAxis {
  readonly size: number;
  readonly outputs: number;
  readonly taps: number;
  readonly before: number;
  /** Floats from one pixel to the next, in x and in y. */
  readonly inputStride: number;
  readonly outputStride: number;
  /** From one tap to the next in the weight of a channel. */
  readonly tapStride: number;
}

/**
 * Where things lie in scratch memory, in floats. Everything is of one channel.
 *
 * Lanes hold pixels that are `spacing` apart, so that a line of outputs is that many vectors, and the pixels that a tap
 * of the line meets are vectors too, whatever its position: nothing is loaded across vectors.
 */
export interface SparsePlan {
  readonly along: SparseAxis;
  readonly lines: SparseAxis;
  /** Pixels from one lane to the next; vectors of an output line. */
  readonly spacing: number;
  /**
   * Strand r of a line: its pixels r, r + spacing, r + 2 spacing, …, and zeros up to the next strand. `strandStart` zeros
   * come before the first one. Of any strand, at least `strandLanes` are written with pixels.
   */
  readonly strandStart: number;
  readonly strandLanes: number;
  readonly strandPitch: number;
  /** Lines of input that a task reads at most. */
  readonly inputLines: number;
  readonly strandPlane: number;
  /** All strands of a task: writing zeros may overshoot by a vector. */
  readonly strandFloats: number;
  /** Lines of zeros above and below, so that a register tile may stick out. */
  readonly margin: number;
  /** Vectors of a line as the taps meet it: from the first pixel of the first tap to the last one of the last. */
  readonly tapVectors: number;
  readonly tapPitch: number;
  readonly tapPlane: number;
  readonly sumPlane: number;
  readonly bands: number;
  readonly scratchFloats: number;
}

export function planSparse(problem: DepthwiseProblem, config: DepthwiseSparseConfig): SparsePlan {
  const { lanes, tileLines, band, group } = config;
  const { along, lines } = sparseAxes(problem, config.along);
  const { dilation } = problem;
  const spacing = Math.ceil(along.outputs / lanes);
  const tapVectors = spacing + (along.taps - 1) * dilation;
  const strandStart = Math.ceil(along.before / spacing);
  const longest = Math.ceil(along.size / spacing);
  const lastShift = Math.floor((tapVectors - 1 - along.before) / spacing);
  const strandPitch = Math.max(lastShift + lanes, roundUp(longest, lanes) + strandStart);
  const margin = tileLines - 1;
  const inputLines = Math.min(lines.size, band + (lines.taps - 1) * dilation);
  const strandPlane = inputLines * spacing * strandPitch;
  const strandFloats = strandStart + group * lanes * strandPlane + lanes;
  const tapPitch = tapVectors * lanes;
  const tapPlane = (inputLines + 2 * margin) * tapPitch;
  const sumPlane = band * spacing * lanes;
  return {
    along,
    lines,
    spacing,
    strandStart,
    strandLanes: roundUp(Math.floor(along.size / spacing), lanes),
    strandPitch,
    inputLines,
    strandPlane,
    strandFloats,
    margin,
    tapVectors,
    tapPitch,
    tapPlane,
    sumPlane,
    bands: Math.ceil(lines.outputs / band),
    scratchFloats: strandFloats + tapPlane + group * lanes * sumPlane,
  };
}

export function sparseAxes(
  problem: DepthwiseProblem,
  along: 'width' | 'height',
): { readonly along: SparseAxis; readonly lines: SparseAxis } {
  const out = outputMap(problem);
  const { pitch } = problem;
  const rows: SparseAxis = {
    size: problem.height,
    outputs: out.height,
    taps: problem.kernelHeight,
    before: problem.padding.top,
    inputStride: problem.width * pitch,
    outputStride: out.width * pitch,
    tapStride: problem.kernelWidth,
  };
  const columns: SparseAxis = {
    size: problem.width,
    outputs: out.width,
    taps: problem.kernelWidth,
    before: problem.padding.left,
    inputStride: pitch,
    outputStride: pitch,
    tapStride: 1,
  };
  return along === 'width' ? { along: columns, lines: rows } : { along: rows, lines: columns };
}
