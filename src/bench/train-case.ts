import type { ModelCase } from './model-case.ts';

/** One line of the benchmark of training: a network, its first weights, and a batch that is learnt again and again. */
export interface TrainCase extends ModelCase {
  /** [N, classes]: distributions. */
  readonly targets: Float32Array;
  readonly classes: number;
  /** Whether the gradient to the input is wanted as well: for blocks, which other layers would come before. */
  readonly inputGradient: boolean;
  /** Whether activations are computed again in the backward pass. */
  readonly recompute: boolean;
}
