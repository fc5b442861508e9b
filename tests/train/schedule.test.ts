import { describe, expect, it } from 'vitest';

import { scheduleOf } from '../../src/train/schedule.ts';
import golden from '../fixtures/recipe.json' with { type: 'json' };

const plain = { base: 0.4, epochs: 6, stepsPerEpoch: 3 };

describe('a cosine', () => {
  it.each(golden.cosineSchedule)('has the official values: $args', ({ args, values }) => {
    const warmup = args.warmup_steps > 0 ? args.warmup_steps / args.niter_per_ep : args.warmup_epochs;
    const rate = scheduleOf(
      {
        base: args.base,
        epochs: args.epochs,
        stepsPerEpoch: args.niter_per_ep,
        warmupEpochs: warmup,
        warmupStart: args.start_warmup_value,
      },
      { kind: 'cosine', final: args.final },
    );
    values.forEach((value, step) => expect(rate(step)).toBeCloseTo(value, 11));
  });
});

it('steps multiply the rate after so many epochs', () => {
  const rate = scheduleOf(plain, { kind: 'step', every: 2, factor: 0.5 });
  expect([0, 5, 6, 11, 12, 17].map(rate)).toEqual([0.4, 0.4, 0.2, 0.2, 0.1, 0.1]);
});

it('a constant stays, after its warm-up', () => {
  const rate = scheduleOf({ ...plain, warmupEpochs: 1 }, { kind: 'constant' });
  expect([0, 1, 2, 3, 17].map(rate)).toEqual([0, 0.2, 0.4, 0.4, 0.4]);
});

it('a warm-up longer than the run is refused', () => {
  expect(() => scheduleOf({ ...plain, warmupEpochs: 7 }, { kind: 'constant' })).toThrow(
    /7 epochs is longer than the run of 6/,
  );
});
