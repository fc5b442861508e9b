import { describeKernels } from '../support/kernel-harness.ts';
import type { KernelCase } from '../support/kernel-harness.ts';

function globalPool(batch: number, pixels: number, channels: number): KernelCase {
  return {
    name: `${batch}×${pixels}×${channels}`,
    problem: (pitch) => ({ op: 'global-pool', batch, pixels, channels, pitch: pitch(channels) }),
  };
}

describeKernels('global-pool', [
  globalPool(1, 49, 1024),
  globalPool(2, 50, 96),
  globalPool(3, 51, 20),
  globalPool(1, 3136, 32),
  globalPool(2, 1, 998),
  globalPool(1, 3, 1),
  { name: 'an image', problem: () => ({ op: 'global-pool', batch: 2, pixels: 99, channels: 3, pitch: 3 }) },
]);
