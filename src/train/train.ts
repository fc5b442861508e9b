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
 * `signal` fires, the run rejects with `aborted` after the update that is under way, and a checkpoint of that is written
 * (where there is a folder); if that update fails, with its error, and the checkpoint before stays.
 *
 * Throws `invalid-argument` for settings that make no sense, labels that do not fit, and a checkpoint of another run, with
 * the differences; `diverged` if the loss, the norm of gradients that are clipped, or weights are not finite, naming the step and
 * the first layer or parameter where numbers are not.
 */
export async function train(
  model: ModelVariant,
  data: TrainData,
  options: TrainOptions,
): Promise<TrainResult> {
  const settings = completeSettings(options, model.resolution, options.worldSize);
  const run = new Run(model, data, options, settings);
  try {
    return await run.go();
  } catch (error) {
    await run.network?.dispose();
    throw error;
  }
}
