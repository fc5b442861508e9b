import type { Parameter } from '../graph/graph.ts';
import type { Hyperparameters, OptimizerRule } from '../kernels/training/optimizer.ts';

export interface OptimizerOptions {
  /** Default `adamw`. */
  readonly rule?: OptimizerRule;
  /** Default [0.9, 0.999]; the first is the momentum of `sgd`, `nesterov` and `rmsprop`, the second the decay of `rmsprop`. */
  readonly betas?: readonly [number, number];
  /** Default 1e-8; for `rmsprop`, where it stands under the root, 1e-3. */
  readonly epsilon?: number;
  /** Default 0.05. Decoupled for `adamw`; added to the gradient (L2) for the others. */
  readonly weightDecay?: number;
  /** Each layer's rate is this much smaller than that of the next one; default 1 (Bao et al. 2021). */
  readonly layerDecay?: number;
}

/** What is meant where an option is not given. */
export const OPTIMIZER_DEFAULTS = {
  rule: 'adamw',
  betas: [0.9, 0.999],
  weightDecay: 0.05,
  layerDecay: 1,
} as const satisfies OptimizerOptions;

/** A group of parameters that share their hyperparameters. */
interface GroupFacts {
  readonly rateScale: number;
  readonly decays: boolean;
}

type CompleteOptions = Required<Omit<OptimizerOptions, 'epsilon'>>;

/** Which parameters share hyperparameters, and what those are at each step. */
export interface Optimizer {
  readonly rule: OptimizerRule;
  groupOf(parameter: Parameter): string;
  /**
   * @param update what this step is: its number from 0, the learning rate, a factor on gradients, the decay of the average
   */
  hyperparameters(
    group: string,
    update: {
      readonly step: number;
      readonly rate: number;
      readonly gradientScale: number;
      readonly averageDecay: number;
      /** In place of the option, where weight decay has a schedule. */
      readonly weightDecay?: number;
    },
  ): Hyperparameters;
}

/**
 * An optimizer for a network. As in the official code, parameters of one dimension (norms, layer scales) and biases do
 * not decay.
 *
 * @param layerOf a parameter's depth from 0 and the number of layers, for `layerDecay`
 */
export function createOptimizer(
  options: OptimizerOptions,
  layerOf: (key: string) => { readonly layer: number; readonly layers: number },
): Optimizer {
  const { rule, betas, weightDecay, layerDecay }: CompleteOptions = { ...OPTIMIZER_DEFAULTS, ...options };
  const epsilon = options.epsilon ?? (rule === 'rmsprop' ? 1e-3 : 1e-8);
  const facts = new Map<string, GroupFacts>();
  return {
    rule,
    groupOf({ key, shape }) {
      const decays = shape.length > 1 && !key.endsWith('.bias');
      const { layer, layers } = layerOf(key);
      const rateScale = layerDecay === 1 ? 1 : layerDecay ** (layers - 1 - layer);
      const name = `${decays ? 'decay' : 'no decay'}${rateScale === 1 ? '' : `, rate × ${rateScale}`}`;
      facts.set(name, { rateScale, decays });
      return name;
    },
    hyperparameters(group, update) {
      const { rateScale = 1, decays = true } = facts.get(group) ?? {};
      const lr = update.rate * rateScale;
      const decay = decays ? (update.weightDecay ?? weightDecay) : 0;
      const decoupled = rule === 'adamw';
      const [beta1, beta2] = betas;
      const count = update.step + 1;
      return {
        gradientScale: update.gradientScale,
        decay: decoupled ? 0 : decay,
        keep: decoupled ? 1 - lr * decay : 1,
        rate: decoupled ? lr / (1 - beta1 ** count) : lr,
        beta1,
        oneMinusBeta1: 1 - beta1,
        beta2,
        oneMinusBeta2: 1 - beta2,
        rootScale: decoupled ? 1 / Math.sqrt(1 - beta2 ** count) : 1,
        epsilon,
        averageKeep: update.averageDecay,
        averageTake: 1 - update.averageDecay,
      };
    },
  };
}
