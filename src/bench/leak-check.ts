import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { WidefieldError, throwIfAborted } from '../core/errors.ts';
import type { Device } from '../devices/device.ts';
import { openDevice } from '../runtime/open.ts';
import { openTrainCase } from './train-case.ts';
import type { TrainRequest } from './train-case.ts';
import { WIDEFIELD_DEVICES } from './widefield.ts';
import type { WidefieldDevice } from './widefield.ts';
import { TrainStepper } from './widefield-train.ts';

export interface LeakCheckOptions {
  /** Default: all; those that cannot work on this machine are left out with a warning. */
  readonly devices?: readonly WidefieldDevice[];
  readonly threads: number;
  readonly steps: number;
  readonly signal?: AbortSignal;
  readonly onWarning?: (message: string) => void;
  readonly onProgress?: (activity: string, done?: number) => void;
}

/** Resident memory of the process over many steps of training. */
export interface LeakReport {
  readonly model: string;
  readonly shape: string;
  readonly engine: string;
  readonly steps: number;
  /** Weights, gradients, moments, packed weights, and the arena, as planned. */
  readonly plannedBytes: number;
  /** How much more memory than before the network was made is resident once it has settled. */
  readonly residentBytes: number;
  /** How much that grew from the second tenth of the steps to the last. */
  readonly growthBytes: number;
}

/** Samples of each of the two tenths; the least counts, because garbage comes and goes. */
const SAMPLES = 10;

/** Trains each network on each device for many steps, and watches the resident memory. */
export async function checkLeaks(
  requests: readonly TrainRequest[],
  options: LeakCheckOptions,
): Promise<LeakReport[]> {
  const { signal } = options;
  const reports: LeakReport[] = [];
  const collectGarbage = exposeGarbageCollector();
  for (const name of options.devices ?? WIDEFIELD_DEVICES) {
    const device = await openIfHere(name, options);
    if (device === undefined) continue;
    try {
      for (const request of requests) {
        const test = openTrainCase(request);
        collectGarbage();
        const before = process.memoryUsage.rss();
        const stepper = await TrainStepper.create(device, test, signal ? { signal } : {});
        try {
          const { weights, arena } = stepper.network.session.bytes;
          const { first, last } = await watch(stepper, `${request.name} on ${name}`, collectGarbage, options);
          reports.push({
            model: test.model,
            shape: test.shape,
            engine: `widefield-${name}`,
            steps: options.steps,
            plannedBytes: weights + arena,
            residentBytes: last - before,
            growthBytes: last - first,
          });
        } finally {
          await stepper.dispose();
        }
      }
    } finally {
      await device.dispose();
    }
  }
  return reports;
}

/** The device, or undefined where it cannot work here and was not asked for by name. */
async function openIfHere(
  name: WidefieldDevice,
  { devices, threads, signal, onWarning }: LeakCheckOptions,
): Promise<Device | undefined> {
  try {
    return await openDevice(name, { threads, ...(signal && { signal }) });
  } catch (error) {
    const isAbsent = error instanceof WidefieldError && error.code === 'unsupported';
    if (devices !== undefined || !isAbsent) throw error;
    onWarning?.(`widefield-${name} is left out: ${error.message}`);
    return undefined;
  }
}

/** The least resident memory within the second tenth of the steps, and within the last. */
async function watch(
  stepper: TrainStepper,
  label: string,
  collectGarbage: () => void,
  { steps, signal, onProgress }: LeakCheckOptions,
): Promise<{ readonly first: number; readonly last: number }> {
  const tenth = Math.max(1, Math.floor(steps / 10));
  const every = Math.max(1, Math.floor(tenth / SAMPLES));
  let first = Infinity;
  let last = Infinity;
  for (let step = 1; step <= steps; step++) {
    throwIfAborted(signal);
    await stepper.step();
    if (step % every !== 0 && step !== steps) continue;
    onProgress?.(`${label}: step ${step} of ${steps}`, step / steps);
    const inFirst = step > tenth && step <= 2 * tenth;
    const inLast = step > steps - tenth;
    if (!inFirst && !inLast) continue;
    collectGarbage();
    const resident = process.memoryUsage.rss();
    if (inFirst) first = Math.min(first, resident);
    if (inLast) last = Math.min(last, resident);
  }
  return { first: Number.isFinite(first) ? first : last, last };
}

/** V8's garbage collector as a function, so that what JavaScript has dropped does not count. */
function exposeGarbageCollector(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}
