import { outputMap } from '../problem.ts';
import type { DepthwiseProblem } from '../problem.ts';
import type { Config } from '../family.ts';

/** How a sparse depthwise convolution is cut. */
export interface DepthwiseSparseConfig extends Config {
  readonly lanes: number;
  /** The axis along which a vector holds neighbouring pixels of one channel; the other one counts lines. */
  readonly along: 'width' | 'height';
  /** Lines of a register tile. */
  readonly tileLines: number;
  /** Vectors of a line in a register tile. */
  readonly tileVectors: number;
  /** Whether lines are copied for each shift along them, so that loads are aligned. */
  readonly aligned: boolean;
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

/** Where things lie in scratch memory, in floats. Planes hold one channel each. */
export interface SparsePlan {
  readonly along: SparseAxis;
  readonly lines: SparseAxis;
  /** Vectors of an output line. */
  readonly vectors: number;
  /** Floats of a line of input: zeros around included. */
  readonly linePitch: number;
  /** Lines of zeros above and below, so that a register tile may stick out. */
  readonly margin: number;
  /** Lines of input that a task reads at most, without margins. */
  readonly inputLines: number;
  readonly inputPlane: number;
  readonly sumPlane: number;
  /** Lines as the taps read them: `linePitch` apart, or those of a copy, without zeros around. */
  readonly tapPitch: number;
  readonly bands: number;
  readonly scratchFloats: number;
}

export function planSparse(problem: DepthwiseProblem, config: DepthwiseSparseConfig): SparsePlan {
  const { lanes, tileLines, band, aligned } = config;
  const { along, lines } = sparseAxes(problem, config.along);
  const { dilation } = problem;
  const vectors = Math.ceil(along.outputs / lanes);
  const linePitch = Math.max(
    vectors * lanes + (along.taps - 1) * dilation,
    along.before + Math.ceil(along.size / lanes) * lanes,
  );
  const margin = tileLines - 1;
  const inputLines = Math.min(lines.size, band + (lines.taps - 1) * dilation);
  const inputPlane = (inputLines + 2 * margin) * linePitch;
  const sumPlane = band * vectors * lanes;
  const copy = aligned ? (inputLines + 2 * margin) * vectors * lanes : 0;
  return {
    along,
    lines,
    vectors,
    linePitch,
    margin,
    inputLines,
    inputPlane,
    sumPlane,
    tapPitch: aligned ? vectors * lanes : linePitch,
    bands: Math.ceil(lines.outputs / band),
    scratchFloats: lanes * (inputPlane + sumPlane) + copy,
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
