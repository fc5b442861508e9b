import type { ElementwiseStep } from '../../src/kernels/problem.ts';
import { describeKernels } from '../support/kernel-harness.ts';
import type { KernelCase } from '../support/kernel-harness.ts';

function elementwise(rows: number, channels: number, ...steps: readonly ElementwiseStep[]): KernelCase {
  const names = steps.map((step) => (step.kind === 'activation' ? step.activation : step.kind));
  return {
    name: `${rows}×${channels} ${names.join(' ')}`,
    problem: (pitch) => ({ op: 'elementwise', rows, channels, pitch: pitch(channels), steps }),
  };
}

const SIGMOID: ElementwiseStep = { kind: 'activation', activation: 'sigmoid' };
const AFFINE: ElementwiseStep = { kind: 'affine', scale: 0.5, shift: -0.25 };

describeKernels('elementwise', [
  elementwise(784, 64, { kind: 'add' }),
  elementwise(
    5,
    20,
    { kind: 'add' },
    { kind: 'activation', activation: 'relu' },
    { kind: 'mul' },
    { kind: 'sub' },
  ),
  elementwise(49, 249, { kind: 'activation', activation: 'gelu' }),
  elementwise(7, 24, { kind: 'activation', activation: 'silu' }, { kind: 'activation', activation: 'tanh' }),
  elementwise(1, 1, { kind: 'activation', activation: 'relu6' }),
  // Chains that make something of the zeros in the padding.
  elementwise(3, 64, SIGMOID),
  elementwise(3, 77, SIGMOID),
  elementwise(5, 21, AFFINE, { kind: 'mul' }, AFFINE),
  {
    name: 'an image',
    problem: () => ({ op: 'elementwise', rows: 15 * 13, channels: 3, pitch: 3, steps: [AFFINE] }),
  },
  {
    name: 'an image of a handy size',
    problem: () => ({ op: 'elementwise', rows: 32 * 32, channels: 3, pitch: 3, steps: [AFFINE, SIGMOID] }),
  },
  {
    name: 'padding after an image',
    problem: () => ({ op: 'elementwise', rows: 9, channels: 3, pitch: 5, steps: [AFFINE] }),
  },
]);
