import { invalidArgument } from '../core/errors.ts';

/** How the learning rate goes over a run. Steps are optimizer steps, from 0. */
export type ScheduleOptions =
  | {
      readonly kind: 'cosine';
      /** The rate that the cosine falls towards and never reaches; default 1e-6. */
      readonly final?: number;
    }
  | {
      readonly kind: 'step';
      /** Epochs after each of which the rate is multiplied by `factor`. */
      readonly every: number;
      readonly factor: number;
    }
  | { readonly kind: 'constant' };

export interface ScheduleFacts {
  readonly base: number;
  readonly epochs: number;
  readonly stepsPerEpoch: number;
  /** Linear from `warmupStart`; default 0 epochs. */
  readonly warmupEpochs?: number;
  /** Default 0. */
  readonly warmupStart?: number;
}

/**
 * The value at each optimizer step. Warm-up is `linspace(start, base, W)`, its end included, so that the base comes
 * twice; the cosine is final + ½(base − final)(1 + cos(πi / N)), i = 0 … N − 1, N = steps − W, as the official ConvNeXt,
 * RepLKNet and SLaK code has it.
 *
 * Throws `invalid-argument` for a warm-up longer than the run.
 */
export function scheduleOf(facts: ScheduleFacts, options: ScheduleOptions): (step: number) => number {
  const { base, epochs, stepsPerEpoch, warmupEpochs = 0, warmupStart = 0 } = facts;
  const total = epochs * stepsPerEpoch;
  const warmup = Math.round(warmupEpochs * stepsPerEpoch);
  if (warmup > total) {
    throw invalidArgument(`The warm-up of ${warmupEpochs} epochs is longer than the run of ${epochs}.`);
  }
  const after = afterWarmup(base, total - warmup, stepsPerEpoch, options);
  return (step) => {
    if (step >= warmup) return after(step - warmup);
    return warmup === 1 ? warmupStart : warmupStart + ((base - warmupStart) * step) / (warmup - 1);
  };
}

function afterWarmup(
  base: number,
  steps: number,
  stepsPerEpoch: number,
  options: ScheduleOptions,
): (step: number) => number {
  switch (options.kind) {
    case 'constant':
      return () => base;
    case 'step': {
      const period = options.every * stepsPerEpoch;
      return (step) => base * options.factor ** Math.floor(step / period);
    }
    case 'cosine': {
      const { final = 1e-6 } = options;
      return (step) =>
        final + 0.5 * (base - final) * (1 + Math.cos((Math.PI * Math.min(step, steps)) / Math.max(steps, 1)));
    }
  }
}
