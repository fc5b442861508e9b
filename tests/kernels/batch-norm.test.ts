import type { Activation } from '../../src/kernels/problem.ts';
import { describeKernels } from '../support/kernel-harness.ts';
import type { KernelCase } from '../support/kernel-harness.ts';

function batchNorm(rows: number, channels: number, activation: Activation = 'none'): KernelCase {
  return {
    name: `${rows}×${channels} ${activation}`,
    problem: (pitch) => ({
      op: 'batch-norm',
      rows,
      channels,
      pitch: pitch(channels),
      epsilon: 1e-3,
      activation,
    }),
  };
}

describeKernels('batch-norm', [
  batchNorm(196, 128),
  batchNorm(9, 24, 'relu6'),
  batchNorm(5, 249, 'gelu'),
  batchNorm(3, 20, 'silu'),
  batchNorm(3, 21, 'sigmoid'),
  batchNorm(1, 1, 'tanh'),
  {
    name: 'a pitch that no vector divides',
    problem: () => ({
      op: 'batch-norm',
      rows: 50,
      channels: 3,
      pitch: 3,
      epsilon: 1e-5,
      activation: 'relu',
    }),
  },
]);
