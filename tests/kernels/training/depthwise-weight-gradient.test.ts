import { depthwiseWeightGradientFft } from '../../../src/kernels/training/depthwise-weight-gradient-fft.ts';
import type { DepthwiseWeightGradientFftConfig } from '../../../src/kernels/training/depthwise-weight-gradient-fft.ts';
import type { Candidate } from '../../../src/kernels/family.ts';
import type { DepthwiseWeightGradientProblem } from '../../../src/kernels/training/problems.ts';
import { depthwiseSizes, describeShape } from '../../support/depthwise-shape.ts';
import type { DepthwiseShape } from '../../support/depthwise-shape.ts';
import { bestOfFamilies, describeKernels } from '../../support/kernel-harness.ts';
import type { KernelCase } from '../../support/kernel-harness.ts';

function gradient(name: string, { batch = 2, ...shape }: DepthwiseShape): KernelCase {
  const [height, width] = shape.kernel;
  return {
    name: describeShape(name, { ...shape, batch }),
    problem: (pitch): DepthwiseWeightGradientProblem => ({
      op: 'depthwise-weight-gradient',
      ...depthwiseSizes({ ...shape, batch }, pitch),
      gradientPitch: pitch(shape.channels * height * width),
    }),
    onDevices: bestOfFamilies,
  };
}

describeKernels('depthwise weight gradient: layers of real models, fewer channels', [
  gradient('RepLKNet-31 stage 3', { map: [14, 14], channels: 12, kernel: [27, 27] }),
  gradient('SLaK, tall branch', { map: [28, 28], channels: 8, kernel: [51, 5] }),
  gradient('SLaK, wide branch', { map: [28, 28], channels: 8, kernel: [5, 51] }),
  gradient('SLaK, padded channels', { map: [14, 14], channels: 61, kernel: [13, 13], batch: 3 }),
  gradient('ConvNeXt', { map: [14, 14], channels: 24, kernel: [7, 7] }),
  gradient('MobileNet', { map: [14, 13], channels: 24, kernel: [3, 3], stride: 2 }),
]);

describeKernels('depthwise weight gradient: unusual shapes', [
  gradient('one pixel', { map: [1, 1], channels: 3, kernel: [3, 3] }),
  gradient('one pixel under a dilated kernel', { map: [1, 1], channels: 3, kernel: [3, 3], dilation: 2 }),
  gradient('taps that never meet a pixel', { map: [7, 6], channels: 3, kernel: [151, 31] }),
  gradient('strided and dilated', { map: [12, 11], channels: 4, kernel: [5, 3], stride: 2, dilation: 3 }),
  gradient('strided, large', { map: [17, 18], channels: 5, kernel: [9, 9], stride: 2 }),
  gradient('an even kernel', { map: [9, 8], channels: 5, kernel: [4, 4] }),
  gradient('no padding', {
    map: [9, 8],
    channels: 5,
    kernel: [4, 5],
    padding: { top: 0, bottom: 0, left: 0, right: 0 },
  }),
  gradient('padding on two sides', {
    map: [6, 7],
    channels: 4,
    kernel: [3, 3],
    padding: { top: 0, bottom: 5, left: 4, right: 0 },
  }),
  gradient('tiles', { map: [40, 50], channels: 4, kernel: [5, 5], batch: 1 }),
  gradient('tiles of a strided layer', { map: [41, 50], channels: 4, kernel: [7, 7], stride: 2, batch: 1 }),
]);

/** The transforms as for maps that outgrow the caches, and images in parts. */
function fetchingAhead(test: KernelCase): KernelCase {
  const withHints = (candidate: Candidate): Candidate => ({
    ...candidate,
    emit: () => {
      const problem = test.problem((channels) => Math.ceil(channels / 16) * 16);
      if (problem.op !== 'depthwise-weight-gradient') throw new TypeError('a weight gradient is needed');
      const config = candidate.config as DepthwiseWeightGradientFftConfig;
      return depthwiseWeightGradientFft.emit(problem, { ...config, ahead: 2, splits: 2 });
    },
  });
  return {
    ...test,
    onDevices: (all) =>
      all
        .filter(({ family }) => family === depthwiseWeightGradientFft.name)
        .slice(0, 1)
        .map(withHints),
  };
}

describeKernels('depthwise weight gradient: fetching ahead', [
  fetchingAhead(gradient('no tiles', { map: [20, 22], channels: 64, kernel: [9, 5], batch: 3 })),
  fetchingAhead(gradient('tiles, stride 2', { map: [60, 62], channels: 64, kernel: [7, 5], stride: 2 })),
]);
