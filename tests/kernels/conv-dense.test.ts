import { NO_EPILOGUE } from '../../src/kernels/problem.ts';
import type { Epilogue } from '../../src/kernels/problem.ts';
import { convCases } from '../support/conv-cases.ts';
import type { ConvShape } from '../support/conv-cases.ts';
import { describeKernels, describeSmallCache } from '../support/kernel-harness.ts';

const everything: Epilogue = {
  bias: true,
  activation: 'gelu',
  scale: true,
  residual: true,
  finalActivation: 'sigmoid',
};
const biasRelu: Epilogue = { ...NO_EPILOGUE, bias: true, activation: 'relu' };
const same3 = [1, 1, 1, 1] as const;

const small: Readonly<Record<string, ConvShape>> = {
  '3×3 same, odd channels': { map: [5, 6], channels: [5, 13], kernel: [3, 3], padding: same3 },
  '3×3 on images at pitch 3, stride 2': {
    map: [9, 11],
    channels: [3, 17],
    kernel: [3, 3],
    stride: 2,
    padding: same3,
    inputPitch: 3,
  },
  '3×3 on images at pitch 4, bias and relu': {
    map: [7, 8],
    channels: [3, 8],
    kernel: [3, 3],
    padding: same3,
    inputPitch: 4,
    epilogue: biasRelu,
  },
  '7×7 stride 2 stem': {
    map: [10, 13],
    channels: [3, 8],
    kernel: [7, 7],
    stride: 2,
    padding: [3, 3, 3, 3],
    inputPitch: 8,
  },
  '4×4 stride 4 patches': { map: [12, 8], channels: [3, 12], kernel: [4, 4], stride: 4, inputPitch: 3 },
  '2×2 stride 2, batch 2, odd map': { map: [5, 7], channels: [16, 24], kernel: [2, 2], stride: 2, batch: 2 },
  '1×1 stride 2': { map: [7, 5], channels: [16, 32], kernel: [1, 1], stride: 2 },
  '1×1 stride 1': { map: [3, 5], channels: [17, 13], kernel: [1, 1], batch: 2, epilogue: biasRelu },
  '1×1 with padding': { map: [2, 3], channels: [8, 8], kernel: [1, 1], padding: same3 },
  'dilation 2': { map: [6, 9], channels: [8, 16], kernel: [3, 3], dilation: 2, padding: [2, 2, 2, 2] },
  'dilation 2 of few channels': {
    map: [6, 7],
    channels: [3, 5],
    kernel: [3, 3],
    dilation: 2,
    padding: [2, 2, 2, 2],
  },
  'stride 3, asymmetric padding': {
    map: [8, 10],
    channels: [4, 6],
    kernel: [3, 5],
    stride: 3,
    padding: [0, 2, 3, 1],
  },
  'a kernel larger than the map': { map: [2, 3], channels: [4, 9], kernel: [5, 7], padding: [2, 2, 3, 3] },
  'one pixel': { map: [1, 1], channels: [5, 20], kernel: [3, 3], padding: same3 },
  'one output': { map: [3, 3], channels: [12, 16], kernel: [3, 3] },
  'one column': { map: [9, 1], channels: [8, 8], kernel: [3, 1], padding: [1, 1, 0, 0] },
  'padding wider than the kernel': { map: [2, 2], channels: [4, 4], kernel: [2, 2], padding: [3, 0, 0, 3] },
  'whole epilogue, batch 2': {
    map: [4, 5],
    channels: [5, 13],
    kernel: [3, 3],
    padding: same3,
    batch: 2,
    epilogue: everything,
  },
  'output pitch beyond the channels': {
    map: [3, 4],
    channels: [6, 3],
    kernel: [3, 3],
    padding: same3,
    outputRoom: 40,
    epilogue: biasRelu,
  },
};

// Sizes where maps are cut into bands, weights into several panels, and sums into passes.
const large: Readonly<Record<string, ConvShape>> = {
  'ResNet 14×14': { map: [14, 14], channels: [128, 96], kernel: [3, 3], padding: same3, epilogue: biasRelu },
  'ResNet 7×7, deep': { map: [7, 7], channels: [512, 80], kernel: [3, 3], padding: same3 },
  'stem 112×112': {
    map: [112, 112],
    channels: [3, 32],
    kernel: [3, 3],
    stride: 2,
    padding: same3,
    inputPitch: 4,
  },
  'a map wider than the cache': { map: [3, 700], channels: [64, 8], kernel: [3, 3], padding: same3 },
};

describeKernels('conv-dense', convCases({ ...small, ...large }));

// Tiles then ask for the weights that come next, which must lie within them, and sums go in passes.
describeSmallCache('conv-dense, weights beyond the cache', 2048, convCases(small));
