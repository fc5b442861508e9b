import { expect, test } from 'vitest';

import { nestedBlocks } from '../../src/codegen/inline.ts';
import type { Statement } from '../../src/codegen/ir.ts';
import { candidates } from '../../src/kernels/index.ts';
import { depthwiseFft } from '../../src/kernels/depthwise-fft.ts';
import type { DepthwiseFftConfig } from '../../src/kernels/depthwise-fft.ts';
import type { Candidate } from '../../src/kernels/family.ts';
import { NO_EPILOGUE } from '../../src/kernels/problem.ts';
import type { DepthwiseProblem, Epilogue } from '../../src/kernels/problem.ts';
import {
  FULL_EPILOGUE,
  UNUSUAL_PADDINGS,
  depthwiseSizes,
  describeShape,
} from '../support/depthwise-shape.ts';
import type { DepthwiseShape } from '../support/depthwise-shape.ts';
import { allButNative, bestOfFamilies, describeKernels, interpreterCaps } from '../support/kernel-harness.ts';
import type { KernelCase } from '../support/kernel-harness.ts';

interface Shape extends DepthwiseShape {
  readonly epilogue?: Partial<Epilogue>;
}

function depthwise(name: string, shape: Shape): KernelCase {
  return {
    name: describeShape(name, shape),
    problem: (pitch): DepthwiseProblem => ({
      op: 'depthwise',
      ...depthwiseSizes(shape, pitch),
      epilogue: { ...NO_EPILOGUE, ...shape.epilogue },
    }),
  };
}

describeKernels(
  'depthwise: layers of real models, fewer channels',
  [
    depthwise('RepLKNet-31 stage 1', { map: [56, 56], channels: 8, kernel: [31, 31] }),
    depthwise('RepLKNet-31 stage 3', { map: [14, 14], channels: 48, kernel: [27, 27] }),
    depthwise('RepLKNet-31 stage 4', {
      map: [7, 7],
      channels: 32,
      kernel: [13, 13],
      epilogue: FULL_EPILOGUE,
    }),
    depthwise('SLaK stage 1', { map: [56, 56], channels: 4, kernel: [51, 51] }),
    depthwise('SLaK, tall branch', { map: [56, 56], channels: 8, kernel: [51, 5] }),
    depthwise('SLaK, wide branch', { map: [56, 56], channels: 8, kernel: [5, 51] }),
    depthwise('SLaK, padded channels', { map: [18, 18], channels: 61, kernel: [35, 35] }),
    depthwise('ConvNeXt', { map: [28, 28], channels: 24, kernel: [7, 7], epilogue: { bias: true } }),
    depthwise('MobileNet', {
      map: [28, 28],
      channels: 24,
      kernel: [3, 3],
      stride: 2,
      epilogue: { activation: 'relu6' },
    }),
    depthwise('a segmentation map', { map: [128, 160], channels: 3, kernel: [21, 21] }),
  ].map((test) => ({ ...test, onDevices: bestOfFamilies })),
);

describeKernels(
  'depthwise: edges',
  [
    depthwise('one pixel', { map: [1, 1], channels: 5, kernel: [7, 7] }),
    depthwise('one row', { map: [1, 19], channels: 4, kernel: [5, 5] }),
    depthwise('one column', { map: [17, 1], channels: 3, kernel: [3, 9] }),
    depthwise('a map smaller than its kernel', { map: [5, 3], channels: 7, kernel: [13, 11] }),
    depthwise('an even kernel', { map: [9, 10], channels: 8, kernel: [4, 6] }),
    depthwise('batch', { map: [9, 7], channels: 20, kernel: [5, 5], batch: 3, epilogue: FULL_EPILOGUE }),
    depthwise('stride 2', { map: [15, 18], channels: 8, kernel: [7, 7], stride: 2, epilogue: FULL_EPILOGUE }),
    depthwise('stride 3', { map: [16, 17], channels: 8, kernel: [5, 7], stride: 3 }),
    depthwise('dilation 3, as in Table 13 of SLaK', {
      map: [20, 20],
      channels: 8,
      kernel: [7, 7],
      dilation: 3,
    }),
    depthwise('stride and dilation', { map: [20, 21], channels: 4, kernel: [5, 3], stride: 2, dilation: 2 }),
    depthwise('no padding', UNUSUAL_PADDINGS['no padding']),
    depthwise('uneven padding', {
      ...UNUSUAL_PADDINGS['uneven padding'],
      epilogue: { bias: true, activation: 'sigmoid' },
    }),
    depthwise('more padding than kernel', UNUSUAL_PADDINGS['more padding than kernel']),
    depthwise('a kernel of more than twice its map, dilated', {
      map: [11, 9],
      channels: 4,
      kernel: [19, 13],
      dilation: 2,
    }),
    depthwise('a kernel of more than twice its map, stride 2', {
      map: [9, 12],
      channels: 4,
      kernel: [31, 27],
      stride: 2,
    }),
  ].map((test) => ({ ...test, onDevices: allButNative })),
);

describeKernels(
  'depthwise: long axes',
  [
    depthwise('a kernel far larger than its map', { map: [4, 6], channels: 4, kernel: [151, 151] }),
    depthwise('a kernel of 151, tall', { map: [150, 3], channels: 4, kernel: [151, 3] }),
    depthwise('a long row in tiles', {
      map: [3, 300],
      channels: 4,
      kernel: [5, 31],
      epilogue: FULL_EPILOGUE,
    }),
    depthwise('a long column in tiles', {
      map: [300, 4],
      channels: 5,
      kernel: [25, 3],
      epilogue: FULL_EPILOGUE,
    }),
    depthwise('a long row in tiles, stride 2', { map: [4, 290], channels: 4, kernel: [9, 25], stride: 2 }),
    depthwise('tiles both ways', { map: [150, 160], channels: 3, kernel: [9, 11], batch: 2 }),
    depthwise('tiles both ways, dilated', { map: [90, 161], channels: 4, kernel: [5, 7], dilation: 4 }),
  ].map((test) => ({ ...test, onDevices: bestOfFamilies })),
);

type Transforms = Pick<
  DepthwiseFftConfig,
  'heightP' | 'heightQ' | 'heightTile' | 'widthP' | 'widthQ' | 'widthTile'
>;

/** The FFT as for maps that outgrow the caches: pixels are fetched ahead, and outputs stored past the caches. */
function fetchingAhead(test: KernelCase, transforms: Transforms): KernelCase {
  const withHints = (candidate: Candidate): Candidate => ({
    ...candidate,
    emit: () => {
      const lanes = Number(candidate.config['lanes']);
      const problem = test.problem((channels) => channels);
      if (problem.op !== 'depthwise') throw new TypeError('a depthwise problem is needed');
      return depthwiseFft.emit(problem, { ...transforms, lanes, ahead: 2, spectraAhead: 1 });
    },
  });
  const fft = (all: readonly Candidate[]): readonly Candidate[] =>
    all.filter((candidate) => candidate.family === 'depthwise-fft').slice(0, 1);
  return { ...test, onDevices: (all) => fft(all).map(withHints) };
}

describeKernels('depthwise: fetching ahead', [
  fetchingAhead(
    depthwise('tiles one way', { map: [20, 150], channels: 64, kernel: [9, 13], epilogue: FULL_EPILOGUE }),
    { heightP: 4, heightQ: 6, heightTile: 0, widthP: 6, widthQ: 8, widthTile: 36 },
  ),
  fetchingAhead(depthwise('no tiles', { map: [20, 22], channels: 32, kernel: [5, 3], batch: 3 }), {
    heightP: 4,
    heightQ: 6,
    heightTile: 0,
    widthP: 6,
    widthQ: 4,
    widthTile: 0,
  }),
  fetchingAhead(
    depthwise('tiles both ways, stride 2', { map: [40, 42], channels: 32, kernel: [7, 5], stride: 2 }),
    { heightP: 4, heightQ: 6, heightTile: 18, widthP: 4, widthQ: 5, widthTile: 16 },
  ),
]);

test('code does not grow with padding, nor with maps that dilated taps leave', () => {
  const statements = (shape: Shape): number => {
    const problem = depthwise('', shape).problem((channels) => channels);
    const direct = candidates(problem, interpreterCaps([4])).find(
      ({ family }) => family === 'depthwise-direct',
    );
    const count = (body: readonly Statement[]): number =>
      body.reduce(
        (sum, statement) => sum + 1 + nestedBlocks(statement).reduce((all, block) => all + count(block), 0),
        0,
      );
    return count(direct?.emit().main[0]?.body ?? []);
  };
  const wide = { top: 0, bottom: 0, left: 50_000, right: 50_000 };
  const padded = statements({ map: [1, 1], channels: 4, kernel: [1, 1], padding: wide });
  const dilated = statements({ map: [1, 4000], channels: 4, kernel: [1, 3], dilation: 4000 });
  for (const count of [padded, dilated]) {
    expect(count).toBeGreaterThan(10);
    expect(count).toBeLessThan(1000);
  }
});

test('taps that never meet the map ask for no longer transforms', () => {
  const lengths = (map: number, kernel: number): number[] => {
    const shape: Shape = { map: [map, map], channels: 16, kernel: [kernel, kernel] };
    const problem = depthwise('', shape).problem((channels) => channels);
    if (problem.op !== 'depthwise') throw new TypeError('a depthwise problem is needed');
    return depthwiseFft
      .configs(problem, interpreterCaps([16]))
      .map(({ heightP, heightQ }) => heightP * heightQ)
      .sort((a, b) => a - b);
  };
  // 14 outputs of a kernel that reaches 13 pixels either way.
  expect(lengths(14, 47)).toEqual(lengths(14, 27));
  expect(lengths(14, 47)[0]).toBeLessThanOrEqual(28);
  expect(lengths(56, 511)[0]).toBeLessThanOrEqual(112);
});

test('only maps that outgrow the caches are fetched ahead, and only vectors that fill a cache line', () => {
  const aheadOf = (lanes: number, map: readonly [number, number]): number[] => {
    const problem = depthwise('', { map, channels: 128, kernel: [31, 31] }).problem((channels) => channels);
    if (problem.op !== 'depthwise') throw new TypeError('a depthwise problem is needed');
    const caps = { ...interpreterCaps([lanes]), threads: 3 };
    return [...new Set(depthwiseFft.configs(problem, caps).map((config) => config.ahead))];
  };
  expect(aheadOf(16, [56, 56])).toEqual([0]);
  expect(aheadOf(16, [128, 256])).toEqual([3]);
  expect(aheadOf(8, [128, 256])).toEqual([0]);
});
