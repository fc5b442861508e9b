import { measurePeak } from '../bench/peak.ts';
import { throwIfAborted } from '../core/errors.ts';
import type { Device } from '../devices/device.ts';
import type { Model } from '../runtime/model.ts';
import type { DeviceRecord } from './devices.ts';
import { checkHonesty } from './honesty.ts';
import type { Honesty } from './honesty.ts';

const SLICES = 3;
const LEAST_RUNS = 4;
const SECONDS = 1;

export interface MeasureModelOptions {
  readonly signal?: AbortSignal;
  /** How long its runs take together, unless they are slow; default 1. */
  readonly seconds?: number;
}

/** A measured network beside the bound of the machine that ran it. */
export interface MeasuredModel extends Honesty {
  /** The machine, with the best peak rate that was seen while the network ran. */
  readonly device: DeviceRecord;
  /** Milliseconds of each run, without copies of input and output. */
  readonly samplesMs: readonly number[];
}

/**
 * Times a network, and checks it against the record of the machine. The peak rate is measured again in between, and the
 * best that was seen counts, the record's or one of these: if others kept the machine busy when its record was made, networks
 * would seem to exceed what it can do. Bandwidths are the record's.
 *
 * @param device that the network is on
 * @param record of the same machine
 * Throws `aborted` if the signal fires, and what {@link checkHonesty} throws.
 */
export async function measureModel(
  device: Device,
  model: Pick<Model, 'rerun' | 'plan'>,
  record: DeviceRecord,
  { signal, seconds = SECONDS }: MeasureModelOptions = {},
): Promise<MeasuredModel> {
  const options = signal && { signal };
  const samplesMs: number[] = [];
  let peak = record.peak.f32 ?? 0;
  for (let slice = 0; slice < SLICES; slice++) {
    // After a pause, the first run finds caches and threads in another state.
    await model.rerun(options);
    const end = performance.now() + (1e3 * seconds) / SLICES;
    for (let run = 0; run < LEAST_RUNS || performance.now() < end; run++) {
      throwIfAborted(signal);
      const begin = performance.now();
      await model.rerun(options);
      samplesMs.push(performance.now() - begin);
    }
    peak = Math.max(peak, 1e9 * (await measurePeak(device)));
  }
  const measured = { ...record, peak: { ...record.peak, f32: peak } };
  return { device: measured, samplesMs, ...checkHonesty(model.plan, measured, samplesMs) };
}
