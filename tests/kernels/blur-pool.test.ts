import { describeKernels } from '../support/kernel-harness.ts';
import type { KernelCase } from '../support/kernel-harness.ts';

function blurPool(
  batch: number,
  height: number,
  width: number,
  channels: number,
  stride: number,
): KernelCase {
  return {
    name: `${batch}×${height}×${width}×${channels} stride ${stride}`,
    problem: (pitch) => ({
      op: 'blur-pool',
      batch,
      height,
      width,
      channels,
      pitch: pitch(channels),
      stride,
    }),
  };
}

describeKernels('blur-pool', [
  blurPool(1, 56, 56, 64, 2),
  blurPool(2, 7, 12, 20, 2),
  blurPool(1, 8, 5, 24, 1),
  blurPool(1, 9, 7, 16, 3),
  blurPool(1, 2, 2, 4, 2),
  blurPool(1, 1, 6, 4, 1),
  blurPool(2, 1, 1, 1, 2),
  {
    name: 'an image',
    problem: () => ({ op: 'blur-pool', batch: 1, height: 6, width: 7, channels: 3, pitch: 3, stride: 2 }),
  },
]);
