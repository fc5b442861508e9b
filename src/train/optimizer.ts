import type { Parameter } from '../graph/graph.ts';
import type { Hyperparameters, OptimizerRule } from '../kernels/training/optimizer.ts';

export interface OptimizerOptions {
  /** Default `adamw`. */
  readonly rule?: OptimizerRule;
  /**
   * The first is the momentum of `sgd`, `nesterov` and `rmsprop`, the second the decay of `rmsprop`. Default [0.9, 0.999]; for
   * `rmsprop` [0.9, 0.9], as TensorFlow and timm have it.
   */
  readonly betas?: readonly [number, number];
  /** Default 1e-8; for `rmsprop`, where it stands under the root, 1e-3. */
  readonly epsilon?: number;
  /** Decoupled for `adamw`, default 0.05; added to the gradient (L2) for the others, default 1e-4, for `rmsprop` 1e-5. */
  readonly weightDecay?: number;
  /**
   * Each block's rate is this much smaller than that of the next one; default 1 (Bao et al. 2021). The official ConvNeXt
   * decays by groups of three blocks: its 0.8 is 0.93 here.
   */
  readonly layerDecay?: number;
}

type CompleteOptions = Required<Omit<OptimizerOptions, 'rule'>>;

const SGD: CompleteOptions = { betas: [0.9, 0.999], epsilon: 1e-8, weightDecay: 1e-4, layerDecay: 1 };

const DEFAULTS: Readonly<Record<OptimizerRule, CompleteOptions>> = {
  adamw: { ...SGD, weightDecay: 0.05 },
  sgd: SGD,
  nesterov: SGD,
  rmsprop: { betas: [0.9, 0.9], epsilon: 1e-3, weightDecay: 1e-5, layerDecay: 1 },
};

/** What is meant where an option of a rule is not given. */
export function optimizerDefaults(rule: OptimizerRule): CompleteOptions {
  return DEFAULTS[rule];
}

/** A group of parameters that share their hyperparameters. */
interface GroupFacts {
  readonly rateScale: number;
  readonly decays: boolean;
}

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
  const { rule = 'adamw' } = options;
  const { betas, epsilon, weightDecay, layerDecay } = { ...DEFAULTS[rule], ...options };
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
