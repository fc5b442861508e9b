import { describeKernels } from '../support/kernel-harness.ts';
import type { KernelCase } from '../support/kernel-harness.ts';

function concat(rows: number, ...channels: readonly number[]): KernelCase {
  return {
    name: `${rows} rows of ${channels.join(' + ')}`,
    problem: (pitch) => ({
      op: 'concat',
      rows,
      channels,
      pitches: channels.map(pitch),
      outputPitch: pitch(channels.reduce((sum, count) => sum + count, 0)),
    }),
  };
}

describeKernels('concat', [
  concat(49, 64, 64),
  concat(196, 249, 96),
  concat(5, 13, 21, 40),
  concat(7, 1, 2, 3),
  concat(2, 17),
  concat(1, 65, 1),
  {
    name: 'images',
    problem: () => ({ op: 'concat', rows: 30, channels: [3, 3], pitches: [3, 3], outputPitch: 6 }),
  },
]);
