import type { ModelVariant } from '../models/model.ts';
import type { TrainData, TrainOptions, TrainResult } from './options.ts';
import { Run } from './run.ts';
import { completeSettings } from './settings.ts';

/**
 * Trains a network on labelled images.
 *
 *     const result = await train(slak({ … }), { training, validation }, { device, epochs: 30 });
 *
 * Deterministic: the same settings, data, device and number of threads give the same bits, also across a resume. If
 * `signal` fires, a checkpoint is written (where there is a folder) and the run rejects with `aborted`.
 *
 * Throws `invalid-argument` for settings that make no sense, labels that do not fit, and a checkpoint of another run, with
 * the differences; `diverged` if the loss is not finite, naming the step and the first layer where numbers are not.
 */
export async function train(
  model: ModelVariant,
  data: TrainData,
  options: TrainOptions,
): Promise<TrainResult> {
  const settings = completeSettings(options, model.resolution);
  const run = new Run(model, data, options, settings);
  try {
    return await run.go();
  } catch (error) {
    await run.network?.dispose();
    throw error;
  }
}
