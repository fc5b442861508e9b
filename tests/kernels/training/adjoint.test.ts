import { NO_EPILOGUE, samePadding } from '../../../src/kernels/problem.ts';
import type { ConvProblem, DepthwiseProblem, PointwiseProblem } from '../../../src/kernels/problem.ts';
import { bestOfEach, bestOfFamilies, describeKernels } from '../../support/kernel-harness.ts';
import type { KernelCase } from '../../support/kernel-harness.ts';

function pointwise(rows: number, inputs: number, outputs: number): KernelCase {
  return {
    name: `${rows}×${inputs}→${outputs}`,
    problem: (pitch): PointwiseProblem => ({
      op: 'pointwise',
      rows,
      inputs,
      outputs,
      inputPitch: pitch(inputs),
      outputPitch: pitch(outputs),
      epilogue: NO_EPILOGUE,
      adjoint: true,
    }),
    onDevices: bestOfEach,
  };
}

function conv(inputs: number, outputs: number, kernel: number, groups = 1, dilation = 1): KernelCase {
  return {
    name: `conv ${kernel}×${kernel} ${inputs}→${outputs}, ${groups} groups, dilation ${dilation}`,
    problem: (pitch): ConvProblem => ({
      op: 'conv',
      batch: 1,
      height: 6,
      width: 7,
      inputs,
      outputs,
      groups,
      inputPitch: pitch(inputs),
      outputPitch: pitch(outputs),
      kernelHeight: kernel,
      kernelWidth: kernel,
      stride: 1,
      dilation,
      padding: samePadding(kernel, kernel, dilation),
      epilogue: NO_EPILOGUE,
      adjoint: true,
    }),
    onDevices: bestOfEach,
  };
}

function depthwise(
  map: readonly [number, number],
  kernel: readonly [number, number],
  channels: number,
  dilation = 1,
): KernelCase {
  return {
    name: `depthwise ${kernel.join('×')} on ${map.join('×')}×${channels}, dilation ${dilation}`,
    problem: (pitch): DepthwiseProblem => ({
      op: 'depthwise',
      batch: 1,
      height: map[0],
      width: map[1],
      channels,
      pitch: pitch(channels),
      kernelHeight: kernel[0],
      kernelWidth: kernel[1],
      stride: 1,
      dilation,
      padding: samePadding(kernel[0], kernel[1], dilation),
      epilogue: NO_EPILOGUE,
      adjoint: true,
    }),
    onDevices: bestOfFamilies,
  };
}

describeKernels('adjoint weights', [
  pointwise(9, 7, 21),
  pointwise(20, 33, 130),
  conv(20, 12, 1),
  conv(8, 12, 3),
  conv(12, 8, 4),
  conv(24, 16, 3, 2),
  conv(12, 24, 3, 4, 2),
  depthwise([9, 8], [3, 3], 11),
  depthwise([9, 8], [5, 3], 3, 2),
  depthwise([14, 13], [13, 27], 5),
  depthwise([30, 40], [5, 9], 4),
  depthwise([6, 7], [31, 31], 3),
  depthwise([9, 8], [4, 6], 4),
]);
