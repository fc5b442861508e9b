import type { KernelFamily } from '../family.ts';
import type { OuterConfig } from './outer-plan.ts';
import { emitOuterProducts } from './outer-products.ts';
import { estimateOuter, outerConfigs } from './outer-search.ts';
import type { ConvWeightGradientProblem } from './problems.ts';

/** Gradient of dense and grouped convolutions to their weight: sums of outer products, tap by tap. */
export const convWeightGradient: KernelFamily<ConvWeightGradientProblem, OuterConfig> = {
  name: 'conv-weight-gradient',
  op: 'conv-weight-gradient',
  configs: outerConfigs,
  estimate: estimateOuter,
  emit: emitOuterProducts,
};
