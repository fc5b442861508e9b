import type { Device } from '../devices/device.ts';
import type { Problem } from '../kernels/problem.ts';
import { encode } from '../kernels/signature.ts';
import { tune } from '../runtime/tune.ts';
import { recordKey } from '../runtime/tuning-file.ts';
import type { TuningRecord } from '../runtime/tuning-file.ts';
import { loadTuning, saveTuning } from '../runtime/tuning-store.ts';

export interface TuningOptions {
  /** Measure all candidates first where no measurement is on file, and keep the winners. */
  readonly tune: boolean;
  /** The file of measurements; default: in the user's cache folder. */
  readonly tuningFile?: string;
  /** What is going on: tuning, compiling, reading weights. */
  readonly onActivity?: (activity: string) => void;
  /** Called when something is ignored that the user may want to know of. */
  readonly onWarning?: (message: string) => void;
  readonly signal?: AbortSignal;
}

/** The file of measurements. If it cannot be used, estimates can; but then there is nothing to tune into. */
export async function readMeasurements({
  tuningFile,
  tune: mayTune,
  onWarning,
}: TuningOptions): Promise<Map<string, TuningRecord>> {
  try {
    return await loadTuning(tuningFile);
  } catch (error) {
    if (mayTune) throw error;
    onWarning?.(`${error instanceof Error ? error.message : String(error)} Estimates are used instead.`);
    return new Map();
  }
}

/**
 * Measures all candidates for a problem, unless that has been done on this machine, and keeps the winner.
 *
 * @param which tells the problem from others in what `onActivity` is told
 */
export async function tuneProblem(
  device: Device,
  problem: Problem,
  tuning: Map<string, TuningRecord>,
  { signal, tuningFile, onActivity }: TuningOptions,
  which = '',
): Promise<void> {
  if (tuning.has(recordKey(device.caps.fingerprint, encode(problem)))) return;
  const record = await tune(device, problem, {
    ...(signal && { signal }),
    onProgress: ({ done, total }) =>
      onActivity?.(`tuning ${device.caps.name}${which}, candidate ${done} of ${total}`),
  });
  await saveTuning([record], tuningFile);
  tuning.set(recordKey(record.machine, record.problem), record);
}
