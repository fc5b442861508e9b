import { describeKernels } from '../support/kernel-harness.ts';
import type { KernelCase } from '../support/kernel-harness.ts';

function channelScale(batch: number, pixels: number, channels: number): KernelCase {
  return {
    name: `${batch}×${pixels}×${channels}`,
    problem: (pitch) => ({ op: 'channel-scale', batch, pixels, channels, pitch: pitch(channels) }),
  };
}

describeKernels('channel-scale', [
  channelScale(1, 3136, 32),
  channelScale(2, 49, 672),
  channelScale(3, 1, 20),
  channelScale(2, 301, 96),
  channelScale(1, 5, 1),
]);
