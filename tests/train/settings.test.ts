import { describe, expect, expectTypeOf, it } from 'vitest';

import type { ReadFields } from '../../src/core/schema.ts';
import { completeSettings } from '../../src/train/settings.ts';
import type { TrainSettings } from '../../src/train/settings.ts';
import type { settingsFields } from '../../src/train/settings-schema.ts';

it('the table has the members that the type has', () => {
  expectTypeOf<keyof ReadFields<typeof settingsFields>>().toEqualTypeOf<keyof TrainSettings>();
});

describe('settings', () => {
  it('have defaults; the rate follows from the images of an update', () => {
    expect(completeSettings({}, 224)).toMatchObject({
      epochs: 10,
      batchSize: 64,
      resolution: 224,
      rate: (4e-3 * 64) / 4096,
      schedule: { kind: 'cosine', final: 1e-6 },
      transform: { crop: { kind: 'random-resized', area: [0.08, 1] }, flip: 0.5 },
      evaluation: { crop: { kind: 'centre' } },
    });
    expect(completeSettings({ batchSize: 32, accumulate: 4 }, 224).rate).toBe((4e-3 * 128) / 4096);
    expect(completeSettings({ batchSize: 32, accumulate: 4 }, 224, 2).rate).toBe((4e-3 * 256) / 4096);
  });

  it('show a network in evaluation what it has seen in training', () => {
    const mean = [0.1, 0.2, 0.3];
    expect(completeSettings({ transform: { mean } }, 224).evaluation.mean).toEqual(mean);
    const other = [0.5, 0.5, 0.5];
    expect(
      completeSettings({ transform: { mean }, evaluation: { mean: other } }, 224).evaluation.mean,
    ).toEqual(other);
  });

  it.each([
    [{ epochs: 0 }, /epochs must be a whole number from 1 on, got 0/],
    [{ seed: 2 ** 32 }, /seed must be a whole number from 0 to 4294967295/],
    [{ rate: NaN }, /rate must be a number from 0 on/],
    [{ dropPath: 1 }, /dropPath must be a number from 0 to 0\.999/],
    [{ clip: 0 }, /clip must be a number above 0/],
    [{ warmupEpochs: 11 }, /longer than the run of 10/],
    [{ sparsity: { sparsity: 1 } }, /sparsity\.sparsity must be a number from 0 to below 1/],
    [{ optimizer: { weightDecay: -1 } }, /optimizer\.weightDecay/],
    [
      { evaluation: { crop: { kind: 'random-resized', area: [0.1, 1] } } } as const,
      /evaluation\.crop\.kind must be none or centre, got "random-resized"/,
    ],
    [{ mix: { probability: 2 } }, /mix\.probability must be a number from 0 to 1/],
  ])('refuse %j', (settings, message) => {
    expect(() => completeSettings(settings, 224)).toThrow(message);
  });
});
