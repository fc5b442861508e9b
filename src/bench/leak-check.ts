import { openIfHere } from './open-if-here.ts';
import { exposeGarbageCollector, watchResident } from './resident-memory.ts';
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

/** Trains each network on each device for many steps, and watches the resident memory. */
export async function checkLeaks(
  requests: readonly TrainRequest[],
  options: LeakCheckOptions,
): Promise<LeakReport[]> {
  const { steps, signal, onProgress } = options;
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
          const { first, last } = await watchResident(() => stepper.step(), {
            steps,
            ...(signal && { signal }),
            onStep: (step) =>
              onProgress?.(`${request.name} on ${name}: step ${step} of ${steps}`, step / steps),
          });
          reports.push({
            model: test.model,
            shape: test.shape,
            engine: `widefield-${name}`,
            steps,
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
