import { describeKernels } from '../support/kernel-harness.ts';
import type { KernelCase } from '../support/kernel-harness.ts';

function layerNorm(
  rows: number,
  channels: number,
  options: { affine?: boolean; epsilon?: number; input?: (value: number) => number } = {},
): KernelCase {
  const { affine = true, epsilon = 1e-6, input } = options;
  return {
    name: `${rows}×${channels} ${affine ? 'affine' : 'plain'}`,
    problem: (pitch) => ({ op: 'layer-norm', rows, channels, pitch: pitch(channels), epsilon, affine }),
    ...(input && { input }),
  };
}

describeKernels('layer-norm', [
  layerNorm(5, 128),
  layerNorm(3, 249),
  layerNorm(7, 96),
  layerNorm(1, 499),
  layerNorm(33, 12, { affine: false }),
  layerNorm(3, 21, { affine: false }),
  layerNorm(2, 5),
  layerNorm(1, 1),
  layerNorm(49, 1024),
  { ...layerNorm(4, 40), name: 'a mean far from zero', input: (value) => value + 100 },
  { ...layerNorm(4, 40, { epsilon: 1e-3 }), name: 'rows of equal values', input: () => 3 },
  {
    name: 'a pitch that no vector divides',
    problem: () => ({ op: 'layer-norm', rows: 6, channels: 3, pitch: 3, epsilon: 1e-5, affine: true }),
  },
  {
    name: 'padding of more than a vector',
    problem: () => ({ op: 'layer-norm', rows: 3, channels: 9, pitch: 48, epsilon: 1e-5, affine: true }),
  },
]);
