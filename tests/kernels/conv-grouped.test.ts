import { NO_EPILOGUE } from '../../src/kernels/problem.ts';
import type { Epilogue } from '../../src/kernels/problem.ts';
import { convCases } from '../support/conv-cases.ts';
import type { ConvShape } from '../support/conv-cases.ts';
import { describeKernels } from '../support/kernel-harness.ts';

const everything: Epilogue = {
  bias: true,
  activation: 'silu',
  scale: true,
  residual: true,
  finalActivation: 'sigmoid',
};
const same3 = [1, 1, 1, 1] as const;

const shapes: Readonly<Record<string, ConvShape>> = {
  'group width 8': { map: [6, 9], channels: [32, 32], groups: 4, kernel: [3, 3], padding: same3 },
  'group width 8, stride 2, whole epilogue': {
    map: [7, 8],
    channels: [24, 24],
    groups: 3,
    kernel: [3, 3],
    stride: 2,
    padding: same3,
    epilogue: everything,
  },
  'group width 8, 1×1': { map: [4, 5], channels: [64, 64], groups: 8, kernel: [1, 1], batch: 2 },
  'group width 16': { map: [5, 5], channels: [32, 32], groups: 2, kernel: [3, 3], padding: same3, batch: 2 },
  'group width 16, no padding': { map: [5, 6], channels: [64, 64], groups: 4, kernel: [3, 2] },
  'group width 4': { map: [5, 7], channels: [32, 32], groups: 8, kernel: [3, 3], padding: same3 },
  'group width 1 to 2: channel multiplier': {
    map: [5, 4],
    channels: [16, 32],
    groups: 16,
    kernel: [3, 3],
    padding: same3,
  },
  'group width 1 to 3, odd channels': {
    map: [4, 4],
    channels: [7, 21],
    groups: 7,
    kernel: [3, 3],
    padding: same3,
    epilogue: everything,
  },
  'group width 1, as many groups as channels': {
    map: [4, 4],
    channels: [13, 13],
    groups: 13,
    kernel: [3, 3],
    padding: same3,
  },
  'group width 5': {
    map: [4, 5],
    channels: [15, 15],
    groups: 3,
    kernel: [3, 3],
    padding: same3,
    epilogue: everything,
  },
  'group width 12 to 20': {
    map: [4, 3],
    channels: [24, 40],
    groups: 2,
    kernel: [2, 3],
    padding: [1, 0, 1, 1],
  },
  'group width 6 to 24': { map: [3, 3], channels: [18, 72], groups: 3, kernel: [3, 3], padding: same3 },
  '32 groups of 2': {
    map: [4, 4],
    channels: [64, 64],
    groups: 32,
    kernel: [3, 3],
    dilation: 2,
    padding: [2, 2, 2, 2],
  },
  'an output pitch beyond the groups': {
    map: [3, 3],
    channels: [24, 24],
    groups: 3,
    kernel: [3, 3],
    padding: same3,
    outputRoom: 64,
    epilogue: everything,
  },
  'an input pitch beyond the channels': {
    map: [3, 3],
    channels: [9, 18],
    groups: 9,
    kernel: [3, 3],
    padding: same3,
    inputPitch: 11,
  },
  'a kernel larger than the map': {
    map: [2, 3],
    channels: [16, 16],
    groups: 2,
    kernel: [5, 5],
    padding: [2, 2, 2, 2],
  },
  'one pixel': { map: [1, 1], channels: [16, 16], groups: 2, kernel: [3, 3], padding: same3 },
  'ConvFirstNet 64×64': {
    map: [64, 64],
    channels: [64, 64],
    groups: 8,
    kernel: [3, 3],
    padding: same3,
    epilogue: { ...NO_EPILOGUE, bias: true, activation: 'relu' },
  },
  'MBConv 16×16': { map: [16, 16], channels: [512, 512], groups: 64, kernel: [3, 3], padding: same3 },
};

describeKernels('conv-grouped', convCases(shapes));
