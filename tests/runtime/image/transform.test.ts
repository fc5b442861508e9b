import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';

import { describe, expect, test } from 'vitest';

import {
  IMAGENET_MEAN,
  IMAGENET_STD,
  applyTransform,
  evalTransform,
  resizeAndCrop,
} from '../../../src/runtime/image/transform.ts';
import { resize } from '../../../src/runtime/image/resize.ts';
import type { EvalTransform } from '../../../src/runtime/image/transform.ts';
import { draw, goldenSource, noise } from '../../support/sample-images.ts';

interface GoldenCase {
  readonly name: string;
  readonly resize: number | readonly [number, number];
  readonly crop: number | null;
  readonly interpolation: 'bicubic' | 'bilinear';
  readonly out_hw: readonly [number, number];
  readonly u8_sha256_hwc: string;
  readonly u8_channel_sum: readonly number[];
  readonly u8_first16: readonly (readonly number[])[];
  readonly u8_row_mid_first32: readonly (readonly number[])[];
  readonly norm_first16: readonly (readonly number[])[];
  readonly norm_mean: readonly number[];
  readonly norm_std: readonly number[];
}

interface Golden {
  readonly src_sha256_hwc: string;
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly cases: readonly GoldenCase[];
}

/** Made with Pillow 9.4.0 and torchvision 0.14.1. */
const golden = JSON.parse(
  await readFile(new URL('../../fixtures/image.json', import.meta.url), 'utf8'),
) as Golden;

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** `count` values of channel `c`, from pixel `first`. */
const channel = (values: ArrayLike<number>, c: number, first: number, count: number): number[] =>
  Array.from({ length: count }, (_, i) => values[(first + i) * 3 + c] ?? NaN);

test('the source of the golden numbers is the one they were made from', () => {
  expect(sha256(goldenSource().data)).toBe(golden.src_sha256_hwc);
  expect([IMAGENET_MEAN, IMAGENET_STD]).toEqual([golden.mean, golden.std]);
});

describe.each(golden.cases)('$name', (expected) => {
  const [height, width] = expected.out_hw;
  const transform: EvalTransform = {
    resize: typeof expected.resize === 'number' ? expected.resize : 'warp',
    crop: height,
    interpolation: expected.interpolation,
    mean: IMAGENET_MEAN,
    std: IMAGENET_STD,
  };

  test('pixels are the same bits as from Pillow', () => {
    const { data, ...size } = resizeAndCrop(goldenSource(), transform);
    expect(size).toEqual({ width, height });
    const middle = Math.floor(height / 2) * width;
    for (let c = 0; c < 3; c++) {
      expect(channel(data, c, 0, 16)).toEqual(expected.u8_first16[c]);
      expect(channel(data, c, middle, 32)).toEqual(expected.u8_row_mid_first32[c]);
      expect(channel(data, c, 0, width * height).reduce((a, b) => a + b)).toBe(expected.u8_channel_sum[c]);
    }
    expect(sha256(data)).toBe(expected.u8_sha256_hwc);
  });

  test('normalised values are the same bits as from torchvision', () => {
    const values = applyTransform(goldenSource(), transform);
    expect(values.length).toBe(width * height * 3);
    for (let c = 0; c < 3; c++) {
      expect(channel(values, c, 0, 16)).toEqual(expected.norm_first16[c]?.map(Math.fround));
      const all = channel(values, c, 0, width * height);
      const mean = all.reduce((a, b) => a + b) / all.length;
      const variance = all.reduce((a, b) => a + (b - mean) ** 2, 0) / all.length;
      expect(mean).toBeCloseTo(expected.norm_mean[c] ?? NaN, 8);
      expect(Math.sqrt(variance)).toBeCloseTo(expected.norm_std[c] ?? NaN, 8);
    }
  });
});

test('evalTransform follows the rule of timm and of the official repositories', () => {
  expect(evalTransform(224)).toEqual({
    resize: 256,
    crop: 224,
    interpolation: 'bicubic',
    mean: [0.485, 0.456, 0.406],
    std: [0.229, 0.224, 0.225],
  });
  expect(evalTransform(224, { cropRatio: 0.95 }).resize).toBe(235);
  expect(evalTransform(288, { cropRatio: 0.95 }).resize).toBe(303);
  expect(evalTransform(288).resize).toBe(329);
  expect(evalTransform(320).resize).toBe(365);
  expect(evalTransform(384, { warp: true })).toMatchObject({ resize: 'warp', crop: 384 });
});

test('the shorter side is resized, upright or not, and offsets are rounded half to even', () => {
  // Rows are all alike but the marked one, so the crop's place can be read off. Same size: nothing is blurred.
  const marked = (row: number) => draw(4, 13, (_, y) => (y === row ? [255, 0, 0] : [0, 0, 0]));
  const top = (crop: number): number => {
    for (let row = 0; row < 13; row++) {
      const image = resizeAndCrop(marked(row), { ...evalTransform(4), resize: 4, crop });
      if (image.data[0] === 255) return row;
    }
    return NaN;
  };
  expect(top(4)).toBe(4); // (13 − 4) / 2 = 4.5
  expect(top(2)).toBe(6); // 5.5
  expect(top(3)).toBe(5);
  const wide = resizeAndCrop(noise(31, 10, 'wide'), evalTransform(7, { cropRatio: 0.7 }));
  expect([wide.width, wide.height]).toEqual([7, 7]);
});

test('a rectangle is cut out of the least image that covers its shape, enlarged', () => {
  const photo = noise(50, 40, 'photo');
  const { interpolation } = evalTransform(16);
  // 16×32 of 20×40: 40 pixels wide, ⌊40 · 40 / 50⌋ high. 32×16 of 40×20: 40 pixels high, 50 wide.
  for (const { crop, whole } of [
    { crop: [16, 32], whole: resize(photo, 40, 32, interpolation) },
    { crop: [32, 16], whole: photo },
  ] as const) {
    const [height, width] = crop;
    const left = (whole.width - width) / 2;
    const top = (whole.height - height) / 2;
    const rows = Array.from({ length: height }, (_, y) => {
      const first = ((top + y) * whole.width + left) * 3;
      return [...whole.data.subarray(first, first + width * 3)];
    });
    const part = resizeAndCrop(photo, { ...evalTransform(16), resize: 20, crop });
    expect({ ...part, data: [...part.data] }).toEqual({ width, height, data: rows.flat() });
  }
  const warped = resizeAndCrop(photo, { ...evalTransform(16), resize: 'warp', crop: [16, 32] });
  expect(warped).toEqual(resize(photo, 32, 16, interpolation));
});

test('impossible transforms are refused', () => {
  expect(() => evalTransform(0)).toThrow(/resolution/);
  expect(() => evalTransform(224.5)).toThrow(/resolution/);
  expect(() => evalTransform(224, { cropRatio: 1.1 })).toThrow(/ratio/);
  expect(() => resizeAndCrop(noise(8, 8, 'x'), { ...evalTransform(8), resize: 4 })).toThrow(/cannot be cut/);
});
