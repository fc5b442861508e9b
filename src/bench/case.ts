import { Random } from '../core/random.ts';
import { NO_EPILOGUE, samePadding } from '../kernels/problem.ts';
import type { DepthwiseProblem, PointwiseProblem } from '../kernels/problem.ts';
import { checkIndexRange, signature } from '../kernels/signature.ts';

/** What the benchmark can compare: ops that every engine knows. */
export type BenchProblem = DepthwiseProblem | PointwiseProblem;

/**
 * One line of a benchmark: a problem without padding between channels (`pitch` = channels), its data, and
 * how it is called in the results.
 */
export interface BenchCase<P extends BenchProblem = BenchProblem> {
  readonly problem: P;
  /** As on the command line: `1,56,56,128`. */
  readonly shape: string;
  /** A number for square kernels, `51x5` for others, 1 for pointwise; `51x5, 40% zeros` for sparse ones. */
  readonly kernel: number | string;
  /** Dense, [N, H, W, C] or [rows, inputs]; uniform in [-1, 1). */
  readonly input: Float32Array;
  /** In PyTorch's order, scaled so that outputs are of order 1. */
  readonly weight: Float32Array;
  readonly macs: number;
}

export interface KernelSize {
  readonly height: number;
  readonly width: number;
}

/** [N, H, W, C]. */
export type MapShape = readonly [batch: number, height: number, width: number, channels: number];

/**
 * A depthwise convolution that keeps the map's size.
 *
 * @param sparsity share of the taps that are zero, anywhere; undefined: nothing is known of zeros
 */
export function depthwiseCase(
  shape: MapShape,
  kernel: KernelSize,
  sparsity?: number,
): BenchCase<DepthwiseProblem> {
  const [batch, height, width, channels] = shape;
  const problem: DepthwiseProblem = {
    op: 'depthwise',
    batch,
    height,
    width,
    channels,
    pitch: channels,
    kernelHeight: kernel.height,
    kernelWidth: kernel.width,
    stride: 1,
    dilation: 1,
    padding: sizeKeepingPadding(kernel),
    epilogue: NO_EPILOGUE,
    ...(sparsity !== undefined && { density: 1 - sparsity }),
  };
  checkIndexRange(problem);
  const { macs, depth } = signature(problem).cost;
  const name = kernel.height === kernel.width ? kernel.height : `${kernel.height}x${kernel.width}`;
  const weight = new Random('bench depthwise weight').array(channels * depth, Math.sqrt(3 / depth));
  const zeros = new Random('bench depthwise zeros');
  return {
    problem,
    shape: shape.join(','),
    kernel: sparsity === undefined ? name : `${name}, ${Math.round(100 * sparsity)}% zeros`,
    input: new Random('bench depthwise input').array(batch * height * width * channels),
    weight: weight.map((value, i) => ((1 + zeros.signed(i)) / 2 < (sparsity ?? 0) ? 0 : value)),
    macs,
  };
}

/** y[rows, outputs] = x[rows, inputs] · weightᵀ. */
export function pointwiseCase(rows: number, inputs: number, outputs: number): BenchCase<PointwiseProblem> {
  const problem: PointwiseProblem = {
    op: 'pointwise',
    rows,
    inputs,
    outputs,
    inputPitch: inputs,
    outputPitch: outputs,
    epilogue: NO_EPILOGUE,
  };
  checkIndexRange(problem);
  return {
    problem,
    shape: `${rows},${inputs},${outputs}`,
    kernel: 1,
    input: new Random('bench pointwise input').array(rows * inputs),
    weight: new Random('bench pointwise weight').array(outputs * inputs, Math.sqrt(3 / inputs)),
    macs: signature(problem).cost.macs,
  };
}

/** `kernel − 1` pixels in total along each axis: for even kernels one less at the end than at the start. */
function sizeKeepingPadding({ height, width }: KernelSize): DepthwiseProblem['padding'] {
  const { top, left } = samePadding(height, width);
  return { top, bottom: height - 1 - top, left, right: width - 1 - left };
}
