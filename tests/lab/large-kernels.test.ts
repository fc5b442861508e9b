import { describe, expect, it, test } from 'vitest';

import { findDevice } from '../../src/lab/devices.ts';
import { denseBlock, directTile, im2colBlock, largeKernelStudy } from '../../src/lab/large-kernels.ts';
import { attainable, ridge, rooflineOf, rooflinePoint } from '../../src/lab/roofline.ts';

const turing = findDevice('rtx-2080-ti');
const intensity = ({ ops, bytes }: { ops: number; bytes: number }): number => ops / bytes;

describe("MegEngine's figures on the RTX 2080 Ti", () => {
  const study = largeKernelStudy(turing);

  it('13.447 TFLOP/s, 2.16 TB/s, ridge 6.225', () => {
    expect(Math.trunc(study.peak / 1e9)).toBe(13447);
    expect(study.bandwidth).toBe(2.16e12);
    expect(Math.trunc(1e3 * study.ridge)).toBe(6225);
  });

  it('dense, 32×32 blocks: 8 FLOP/byte, compute-bound whatever the depth', () => {
    expect(study.dense).toMatchObject({ intensity: 8, bound: 'compute', attainable: study.peak });
    expect(intensity(denseBlock(32, 32, 1))).toBe(intensity(denseBlock(32, 32, 72)));
  });

  it('depthwise as im2col: 0.25 FLOP/byte at BN = 1, at most 0.5', () => {
    expect(study.im2col.map((point) => point.intensity)).toEqual([0.25, 64 / 132, 0.5]);
    expect(study.im2col.every(({ bound }) => bound === 'memory')).toBe(true);
    expect(intensity(im2colBlock(1e6, 9))).toBeCloseTo(0.5, 5);
  });

  it('depthwise 3×3 direct, 4×32 a warp: 2.70 FLOP/byte, 5.84 TFLOP/s', () => {
    const point = study.direct.find(({ kernel, pass }) => kernel === 3 && pass === 'forward');
    expect(point?.intensity.toFixed(2)).toBe('2.70');
    expect(((point?.attainable ?? 0) / 1e12).toFixed(2)).toBe('5.84');
    expect(point?.bound).toBe('memory');
  });
});

test('larger kernels have higher intensity, in all three passes, and time grows slower than their area', () => {
  const { direct } = largeKernelStudy(turing);
  for (const pass of ['forward', 'input-gradient', 'weight-gradient'] as const) {
    const points = direct.filter((point) => point.pass === pass);
    expect(points.map(({ kernel }) => kernel)).toEqual([
      3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31,
    ]);
    points.slice(1).forEach((point, i) => {
      const before = points[i];
      expect(point.intensity).toBeGreaterThan(before?.intensity ?? Infinity);
      const growth = point.timeUs / (before?.timeUs ?? 1);
      expect(growth).toBeLessThanOrEqual((point.kernel / (before?.kernel ?? 1)) ** 2 + 1e-9);
      expect(point.timeUs).toBeLessThan(point.im2colUs);
    });
  }
});

test('the gradient to the weights reads two tiles and writes the kernel in registers', () => {
  const tile = { height: 4, width: 32, kernelHeight: 3, kernelWidth: 3 };
  expect(directTile(tile).bytes).toBe(4 * (9 + 6 * 34));
  expect(directTile(tile, 'weight-gradient').bytes).toBe(4 * (4 * 32 + 6 * 34));
  expect(directTile(tile, 'input-gradient')).toEqual(directTile(tile));
});

test('a roofline is the lesser of its two lines', () => {
  const roofline = { peak: 100, bandwidth: 10 };
  expect(ridge(roofline)).toBe(10);
  expect([1, 10, 50].map((each) => attainable(roofline, each))).toEqual([10, 100, 100]);
  expect(rooflinePoint(roofline, 'x', 90, 10)).toMatchObject({
    intensity: 9,
    attainable: 90,
    bound: 'memory',
  });
});

test('any device and memory; a bandwidth that is not on record is asked for', () => {
  expect(largeKernelStudy(findDevice('a100')).memory).toBe('DRAM');
  expect(rooflineOf(turing, { dtype: 'f32' }).bandwidth).toBe(616e9);
  expect(() => rooflineOf(findDevice('a100'), { memory: 'L2' })).toThrow(/no bandwidth for L2: use DRAM/);
});
