import { describeKernels } from '../support/kernel-harness.ts';
import type { KernelCase } from '../support/kernel-harness.ts';

type Size = readonly [height: number, width: number];

function resize(
  [height, width]: Size,
  [outHeight, outWidth]: Size,
  channels: number,
  batch = 1,
): KernelCase[] {
  return [false, true].map((alignCorners) => ({
    name: `${batch}×${height}×${width}×${channels} to ${outHeight}×${outWidth}${alignCorners ? ' aligned' : ''}`,
    problem: (pitch) => ({
      op: 'resize',
      batch,
      height,
      width,
      outHeight,
      outWidth,
      channels,
      pitch: pitch(channels),
      alignCorners,
    }),
  }));
}

describeKernels('resize', [
  ...resize([14, 14], [28, 28], 64),
  ...resize([16, 9], [7, 20], 20, 2),
  ...resize([5, 5], [5, 5], 24),
  ...resize([1, 1], [3, 4], 5),
  ...resize([6, 7], [1, 1], 16),
  ...resize([1, 33000], [1, 33000], 1).slice(0, 1),
  {
    name: 'an image',
    problem: () => ({
      op: 'resize',
      batch: 1,
      height: 15,
      width: 10,
      outHeight: 8,
      outWidth: 9,
      channels: 3,
      pitch: 3,
      alignCorners: false,
    }),
  },
]);
