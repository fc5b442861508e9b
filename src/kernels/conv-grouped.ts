import { emitConv } from './conv/implicit-gemm.ts';
import type { ConvConfig } from './conv/plan.ts';
import { convConfigs, estimateConv } from './conv/search.ts';
import type { KernelFamily } from './family.ts';
import type { ConvProblem } from './problem.ts';

/**
 * Grouped convolution: the dense algorithm group by group, each on its own copy of its channels.
 *
 * A vector holds outputs of one group. Groups with fewer outputs than the machine has lanes use narrower
 * vectors, which run at the same rate down to half the widest; below that, neighbouring groups are merged
 * and multiply zeros.
 */
export const convGrouped: KernelFamily<ConvProblem, ConvConfig> = {
  name: 'conv-grouped',
  op: 'conv',
  configs: (problem, caps) => (problem.groups > 1 ? convConfigs(problem, caps) : []),
  estimate: estimateConv,
  emit: emitConv,
};
