import { describeKernels } from '../support/kernel-harness.ts';
import type { KernelCase } from '../support/kernel-harness.ts';

function softmax(rows: number, channels: number, input?: (value: number) => number): KernelCase {
  return {
    name: `${rows}×${channels}`,
    problem: (pitch) => ({ op: 'softmax', rows, channels, pitch: pitch(channels) }),
    ...(input && { input }),
  };
}

describeKernels('softmax', [
  softmax(1, 1000),
  softmax(5, 128),
  softmax(3, 21),
  softmax(4, 1),
  softmax(200, 19),
  { ...softmax(3, 100, (value) => 30 * value), name: 'a wide range' },
  { ...softmax(3, 5, (value) => 30 * value), name: 'fewer channels than lanes' },
  { ...softmax(3, 37, (value) => value - 200), name: 'far below the padding' },
  { ...softmax(3, 37, (value) => value + 1000), name: 'far above what exp can take' },
  {
    name: 'a pitch that no vector divides',
    problem: () => ({ op: 'softmax', rows: 7, channels: 5, pitch: 5 }),
  },
]);
