import { expect, test } from 'vitest';

import { candidates } from '../../../src/kernels/index.ts';
import { samePadding } from '../../../src/kernels/problem.ts';
import type { Padding } from '../../../src/kernels/problem.ts';
import type { ConvWeightGradientProblem } from '../../../src/kernels/training/problems.ts';
import { bestOfEach, describeKernels, interpreterCaps } from '../../support/kernel-harness.ts';
import type { KernelCase } from '../../support/kernel-harness.ts';

interface Shape {
  readonly map: readonly [height: number, width: number];
  readonly inputs: number;
  readonly outputs: number;
  readonly kernel: readonly [height: number, width: number];
  readonly groups?: number;
  readonly stride?: number;
  readonly dilation?: number;
  readonly padding?: Padding;
}

function gradient(name: string, shape: Shape): KernelCase {
  const { map, inputs, outputs, kernel, groups = 1, stride = 1, dilation = 1 } = shape;
  return {
    name: `${name}: ${kernel.join('×')} on ${map.join('×')}, ${inputs}→${outputs}`,
    problem: (pitch): ConvWeightGradientProblem => ({
      op: 'conv-weight-gradient',
      batch: 2,
      height: map[0],
      width: map[1],
      inputs,
      outputs,
      groups,
      inputPitch: pitch(inputs),
      outputPitch: pitch(outputs),
      kernelHeight: kernel[0],
      kernelWidth: kernel[1],
      stride,
      dilation,
      padding: shape.padding ?? samePadding(kernel[0], kernel[1], dilation),
      gradientPitch: pitch((outputs * inputs * kernel[0] * kernel[1]) / groups),
    }),
    onDevices: bestOfEach,
  };
}

test.each([
  [64, 64, 7],
  [128, 128, 7],
  [64, 64, 11],
  [3, 96, 32],
])('%d→%d, %d×%d: more weights than caches hold have a kernel too', (inputs, outputs, size) => {
  const stride = inputs === 3 ? size : 1;
  const shape = { map: [64, 64], inputs, outputs, kernel: [size, size], stride } as const;
  const problem = gradient('', shape).problem((channels) => channels);
  for (const lanes of [[16, 8, 4], [4]]) expect(candidates(problem, interpreterCaps(lanes))).not.toEqual([]);
});

const NO_PADDING: Padding = { top: 0, bottom: 0, left: 0, right: 0 };

describeKernels('conv weight gradient: layers of real models, fewer channels', [
  gradient('ResNet', { map: [7, 9], inputs: 20, outputs: 18, kernel: [3, 3] }),
  gradient('ResNet, between stages', { map: [10, 9], inputs: 12, outputs: 33, kernel: [3, 3], stride: 2 }),
  gradient('ResNet shortcut', { map: [9, 9], inputs: 70, outputs: 9, kernel: [1, 1], stride: 2 }),
  gradient('ResNet stem', { map: [14, 13], inputs: 3, outputs: 10, kernel: [7, 7], stride: 2 }),
  gradient('ConvNeXt stem', {
    map: [12, 8],
    inputs: 3,
    outputs: 24,
    kernel: [4, 4],
    stride: 4,
    padding: NO_PADDING,
  }),
  gradient('ConvNeXt, between stages', {
    map: [8, 6],
    inputs: 16,
    outputs: 20,
    kernel: [2, 2],
    stride: 2,
    padding: NO_PADDING,
  }),
  gradient('ConvFirstNet', { map: [8, 9], inputs: 24, outputs: 24, kernel: [3, 3], groups: 3 }),
]);

describeKernels('conv weight gradient: unusual shapes', [
  gradient('groups of 3 and 6, dilated', {
    map: [8, 9],
    inputs: 6,
    outputs: 12,
    kernel: [3, 3],
    groups: 2,
    dilation: 2,
  }),
  gradient('strided groups', { map: [8, 9], inputs: 24, outputs: 16, kernel: [3, 3], groups: 2, stride: 2 }),
  gradient('a row', { map: [5, 20], inputs: 4, outputs: 9, kernel: [1, 5] }),
  gradient('a dilated column', { map: [20, 5], inputs: 4, outputs: 9, kernel: [5, 1], dilation: 2 }),
  gradient('padding on two sides', {
    map: [6, 7],
    inputs: 5,
    outputs: 6,
    kernel: [3, 2],
    padding: { top: 0, bottom: 3, left: 2, right: 0 },
  }),
  gradient('rows left out at the end', {
    map: [9, 10],
    inputs: 4,
    outputs: 5,
    kernel: [2, 2],
    stride: 3,
    padding: NO_PADDING,
  }),
]);
