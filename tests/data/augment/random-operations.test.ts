import { expect, test } from 'vitest';

import { RandomStream } from '../../../src/core/random.ts';
import { jitterColours } from '../../../src/data/augment/colour-jitter.ts';
import { adjustBrightness } from '../../../src/data/augment/enhance.ts';
import { eraseRandomly } from '../../../src/data/augment/erase.ts';
import { normalisation, normalise } from '../../../src/data/augment/normalise.ts';
import {
  OPERATION_NAMES,
  applyOperation,
  parseRandAugment,
  randAugment,
} from '../../../src/data/augment/rand-augment.ts';
import type { OperationName } from '../../../src/data/augment/rand-augment.ts';
import { makeImage, pillowImage } from '../../support/images.ts';

const CONTEXT = { fill: [124, 116, 104], interpolation: 'bicubic' } as const;

test.each<OperationName>([
  ...(['Rotate', 'ShearX', 'ShearY', 'TranslateXRel', 'TranslateYRel'] as const),
  ...(['ColorIncreasing', 'ContrastIncreasing', 'BrightnessIncreasing', 'SharpnessIncreasing'] as const),
  ...(['SolarizeIncreasing', 'SolarizeAdd'] as const),
])('%s changes nothing at magnitude 0, and something at 9', (name) => {
  const image = pillowImage();
  expect(applyOperation(name, image, 0, new RandomStream(1), CONTEXT).data).toEqual(image.data);
  expect(applyOperation(name, image, 9, new RandomStream(1), CONTEXT).data).not.toEqual(image.data);
});

test('magnitudes mean what timm says', () => {
  const image = makeImage(1, 1, 3, () => 100);
  const value = (name: OperationName, magnitude: number, seed = 1): number | undefined =>
    applyOperation(name, image, magnitude, new RandomStream(seed), CONTEXT).data[0];
  expect(value('PosterizeIncreasing', 9)).toBe(0); // 4 − ⌊3.6⌋ = 1 bit
  expect(value('PosterizeIncreasing', 0)).toBe(96); // 4 bits
  expect(value('Posterize', 9)).toBe(96); // 3 bits: 0b011_00000
  expect(value('SolarizeIncreasing', 9)).toBe(155); // from 256 − ⌊230.4⌋ = 26 on
  expect(value('SolarizeIncreasing', 5)).toBe(100); // from 128 on
  expect(value('Solarize', 9)).toBe(100); // from 230 on
  expect(value('SolarizeAdd', 9)).toBe(199); // + 99
  expect(value('Brightness', 5)).toBe(100); // 0.5 · 1.8 + 0.1 = 1
  const either = new Set(Array.from({ length: 20 }, (_, seed) => value('BrightnessIncreasing', 9, seed)));
  expect(either).toEqual(new Set([19, 181])); // 1 ∓ 0.81
});

test('every operation keeps the size, for grey and colours', () => {
  for (const name of OPERATION_NAMES) {
    for (const channels of [1, 3] as const) {
      const image = makeImage(7, 5, channels, (x, y) => x * 30 + y);
      const { width, height, data } = applyOperation(name, image, 9, new RandomStream(3), CONTEXT);
      expect({ name, width, height, values: data.length }).toEqual({
        name,
        width: 7,
        height: 5,
        values: 35 * channels,
      });
    }
  }
});

test('the notation of timm', () => {
  expect(parseRandAugment('rand-m9-mstd0.5-inc1')).toEqual({
    magnitude: 9,
    magnitudeStd: 0.5,
    increasing: true,
  });
  expect(parseRandAugment('rand-n3-mmax20-mstd101')).toEqual({
    operations: 3,
    magnitudeMax: 20,
    magnitudeStd: Infinity,
  });
  expect(() => parseRandAugment('rand-x3')).toThrow(/no setting x3/);
  expect(() => parseRandAugment('augmix-m3')).toThrow(/no RandAugment/);
});

test('RandAugment applies two operations, each with probability ½', () => {
  const image = pillowImage();
  const run = (seed: number) =>
    randAugment(image, parseRandAugment('rand-m9-mstd0.5-inc1'), CONTEXT, new RandomStream(seed)).data;
  expect(run(4)).toEqual(run(4));
  const same = Array.from({ length: 400 }, (_, seed) => run(seed)).filter(
    (data) => Buffer.compare(data, image.data) === 0,
  );
  // ¼ of all are left alone; five standard deviations.
  expect(Math.abs(same.length - 100)).toBeLessThan(5 * Math.sqrt(400 * 0.25 * 0.75));
  const never = randAugment(image, { operations: 0 }, CONTEXT, new RandomStream(1));
  expect(never.data).toEqual(image.data);
});

test('colour jitter: factors within their range, nothing without', () => {
  const image = makeImage(2, 2, 3, () => 100);
  expect(jitterColours(image, {}, new RandomStream(1)).data).toEqual(image.data);
  const levels = Array.from(
    { length: 200 },
    (_, seed) => jitterColours(image, { brightness: 0.4 }, new RandomStream(seed)).data[0] ?? 0,
  );
  expect(Math.min(...levels)).toBeGreaterThanOrEqual(60);
  expect(Math.min(...levels)).toBeLessThan(65);
  expect(Math.max(...levels)).toBeLessThanOrEqual(140);
  expect(Math.max(...levels)).toBeGreaterThan(135);
  expect(adjustBrightness(image, 1).data).toEqual(image.data);
});

test('normalised values as torchvision has them', () => {
  const image = makeImage(1, 1, 3, (_x, _y, c) => [0, 128, 255][c] ?? 0);
  const out = new Float32Array(3);
  normalise(image, normalisation([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]), out);
  const exact = [-0.485 / 0.229, (128 / 255 - 0.456) / 0.224, (1 - 0.406) / 0.225];
  out.forEach((value, c) => {
    expect(value).toBeCloseTo(exact[c] ?? NaN, 6);
  });
  expect(() => {
    normalise(image, normalisation([0.5], [0.5]), out);
  }).toThrow(/do not go into/);
});

test('random erasing: a rectangle of the wanted area becomes zero, one colour, or noise', () => {
  const [height, width] = [40, 30];
  const run = (mode: 'pixel' | 'rand' | 'const', seed: number, probability = 1): Float32Array => {
    const values = new Float32Array(height * width * 3).fill(9);
    eraseRandomly(values, height, width, { probability, mode }, new RandomStream(seed));
    return values;
  };
  for (let seed = 0; seed < 50; seed++) {
    const pixels = Array.from({ length: height * width }, (_, i) =>
      run('const', seed).subarray(3 * i, 3 * i + 3),
    );
    const erased = pixels.flatMap((pixel, i) => (pixel[0] === 9 ? [] : [i]));
    const columns = erased.map((i) => i % width);
    const rows = erased.map((i) => Math.floor(i / width));
    const area =
      (Math.max(...columns) - Math.min(...columns) + 1) * (Math.max(...rows) - Math.min(...rows) + 1);
    expect(area).toBe(erased.length);
    expect(area / pixels.length).toBeGreaterThan(0.01);
    expect(area / pixels.length).toBeLessThan(0.36);
    expect(erased.every((i) => pixels[i]?.every((value) => value === 0))).toBe(true);
  }
  expect(new Set(run('rand', 3)).size).toBe(4); // three channels, and what is left
  expect(new Set(run('pixel', 3)).size).toBeGreaterThan(20);
  expect(run('const', 3, 0).every((value) => value === 9)).toBe(true);
});
