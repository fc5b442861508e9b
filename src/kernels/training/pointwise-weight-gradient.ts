import type { KernelFamily } from '../family.ts';
import type { OuterConfig } from './outer-plan.ts';
import { emitOuterProducts } from './outer-products.ts';
import { estimateOuter, outerConfigs } from './outer-search.ts';
import type { ConvWeightGradientProblem, PointwiseWeightGradientProblem } from './problems.ts';

/** Gradient of linear layers and 1×1 convolutions to their weight: dyᵀ · x, the outer products of a row of pixels. */
export const pointwiseWeightGradient: KernelFamily<PointwiseWeightGradientProblem, OuterConfig> = {
  name: 'pointwise-weight-gradient',
  op: 'pointwise-weight-gradient',
  configs: (problem, caps) => outerConfigs(asConv(problem), caps),
  estimate: (problem, config, caps) => estimateOuter(asConv(problem), config, caps),
  emit: (problem, config) => emitOuterProducts(asConv(problem), config),
};

/** All rows as one row of pixels under a 1×1 kernel. */
function asConv(problem: PointwiseWeightGradientProblem): ConvWeightGradientProblem {
  const { rows, inputs, outputs, inputPitch, outputPitch, gradientPitch } = problem;
  return {
    op: 'conv-weight-gradient',
    batch: 1,
    height: 1,
    width: rows,
    kernelHeight: 1,
    kernelWidth: 1,
    stride: 1,
    dilation: 1,
    padding: { top: 0, bottom: 0, left: 0, right: 0 },
    inputs,
    outputs,
    groups: 1,
    inputPitch,
    outputPitch,
    gradientPitch,
  };
}
