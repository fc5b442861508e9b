import { emitConv } from './conv/implicit-gemm.ts';
import type { ConvConfig } from './conv/plan.ts';
import { convConfigs, estimateConv } from './conv/search.ts';
import type { KernelFamily } from './family.ts';
import { pointwise } from './pointwise.ts';
import type { PointwiseConfig } from './pointwise.ts';
import { outputMap } from './problem.ts';
import type { ConvProblem, PointwiseProblem } from './problem.ts';

/** Dense convolution (groups = 1) of any kernel size, stride, dilation and padding, as an implicit matrix product. */
export const convDense: KernelFamily<ConvProblem, ConvConfig> = {
  name: 'conv-dense',
  op: 'conv',
  configs: (problem, caps) => (problem.groups === 1 ? convConfigs(problem, caps) : []),
  estimate: estimateConv,
  emit: emitConv,
};

/** Dense 1×1 convolution that visits every pixel: a matrix product as it is. */
export const convPointwise: KernelFamily<ConvProblem, PointwiseConfig> = {
  name: 'conv-pointwise',
  op: 'conv',
  configs: (problem, caps) => (isPointwise(problem) ? pointwise.configs(asPointwise(problem), caps) : []),
  estimate: (problem, config, caps) => pointwise.estimate(asPointwise(problem), config, caps),
  emit: (problem, config) => pointwise.emit(asPointwise(problem), config),
};

function isPointwise(problem: ConvProblem): boolean {
  const { kernelHeight, kernelWidth, stride, groups, height, width } = problem;
  const out = outputMap(problem);
  const { top, left } = problem.padding;
  const samePixels = stride === 1 && top === 0 && left === 0 && out.height === height && out.width === width;
  return kernelHeight === 1 && kernelWidth === 1 && groups === 1 && samePixels;
}

function asPointwise(problem: ConvProblem): PointwiseProblem {
  const { batch, height, width, inputs, outputs, inputPitch, outputPitch, epilogue, adjoint } = problem;
  const rows = batch * height * width;
  const sizes = { rows, inputs, outputs, inputPitch, outputPitch };
  return { op: 'pointwise', ...sizes, epilogue, ...(adjoint && { adjoint }) };
}
