import fc from 'fast-check';
import { expect, test } from 'vitest';

import { RandomStream } from '../../../src/core/random.ts';
import { cropPadded, padAndCrop } from '../../../src/data/augment/crop.ts';
import { flipHorizontally } from '../../../src/data/augment/flip.ts';
import { randomPart } from '../../../src/data/augment/random-resized-crop.ts';
import type { PixelImage } from '../../../src/data/dataset.ts';
import { makeImage } from '../../support/images.ts';

const images = fc
  .record({
    width: fc.integer({ min: 1, max: 9 }),
    height: fc.integer({ min: 1, max: 9 }),
    channels: fc.constantFrom(1 as const, 3 as const),
  })
  .map(({ width, height, channels }) =>
    makeImage(width, height, channels, (x, y, c) => 1 + ((x * 29 + y * 13 + c * 71) % 255)),
  );

function at({ width, channels, data }: PixelImage, x: number, y: number, c: number): number | undefined {
  return data[(y * width + x) * channels + c];
}

test('a flip moves columns, and a second one undoes it', () => {
  const row = makeImage(3, 1, 1, (x) => x + 1);
  expect([...flipHorizontally(row).data]).toEqual([3, 2, 1]);
  const rgb = makeImage(2, 1, 3, (x, _, c) => 10 * x + c);
  expect([...flipHorizontally(rgb).data]).toEqual([10, 11, 12, 0, 1, 2]);
  fc.assert(
    fc.property(images, (image) => {
      expect(flipHorizontally(flipHorizontally(image))).toEqual(image);
    }),
  );
});

test('crops: pixels from inside, fill or mirrored pixels from outside', () => {
  const mirrored = (position: number, extent: number): number => {
    let p = position;
    while (extent > 1 && (p < 0 || p >= extent)) p = p < 0 ? -p : 2 * (extent - 1) - p;
    return extent === 1 ? 0 : p;
  };
  const part = fc.record({
    left: fc.integer({ min: -12, max: 12 }),
    top: fc.integer({ min: -12, max: 12 }),
    width: fc.integer({ min: 1, max: 12 }),
    height: fc.integer({ min: 1, max: 12 }),
  });
  const fill = fc.constantFrom(0 as const, 7 as const, 'reflect' as const);
  fc.assert(
    fc.property(images, part, fill, (image, { left, top, width, height }, outside) => {
      const result = cropPadded(image, { left, top, width, height }, outside);
      const wanted = makeImage(width, height, image.channels, (x, y, c) => {
        const fromX = left + x;
        const fromY = top + y;
        const inside = fromX >= 0 && fromX < image.width && fromY >= 0 && fromY < image.height;
        if (outside !== 'reflect') return inside ? (at(image, fromX, fromY, c) ?? NaN) : outside;
        return at(image, mirrored(fromX, image.width), mirrored(fromY, image.height), c) ?? NaN;
      });
      expect(result).toEqual(wanted);
    }),
  );
});

test('padding and cropping reaches every offset, and no other', () => {
  const image = makeImage(3, 3, 1, (x, y) => 1 + x + 3 * y);
  const random = new RandomStream(5);
  const corners = new Set(
    Array.from({ length: 300 }, () => padAndCrop(image, 3, 3, 1, 0, random).data.join()),
  );
  expect(corners.size).toBe(9);
  expect(corners).toContain('1,2,3,4,5,6,7,8,9');
  expect(corners).toContain('0,0,0,0,1,2,0,4,5');
  expect(() => padAndCrop(image, 6, 3, 1, 0, random)).toThrow(/smaller than the crop of 6 × 3/);
});

test('random parts lie within the image and have the wanted area and ratio', () => {
  const random = new RandomStream(1, 2, 3);
  const areas: number[] = [];
  for (let i = 0; i < 2000; i++) {
    const { left, top, width, height } = randomPart(500, 375, [0.08, 1], [3 / 4, 4 / 3], random);
    expect(left >= 0 && top >= 0 && left + width <= 500 && top + height <= 375).toBe(true);
    expect(width / height).toBeGreaterThan(0.73);
    expect(width / height).toBeLessThan(1.37);
    areas.push((width * height) / (500 * 375));
  }
  expect(Math.min(...areas)).toBeGreaterThan(0.078);
  expect(Math.min(...areas)).toBeLessThan(0.1);
  expect(Math.max(...areas)).toBeGreaterThan(0.9);
});

test('if no part fits, the largest one in the centre whose ratio is allowed', () => {
  const random = new RandomStream(1);
  // Whatever the ratio in [0.5, 2], a part of the whole area of a strip 100 × 4 is higher than 4.
  expect(randomPart(100, 4, [1, 1], [0.5, 2], random)).toEqual({ left: 46, top: 0, width: 8, height: 4 });
  expect(randomPart(4, 100, [1, 1], [0.5, 2], random)).toEqual({ left: 0, top: 46, width: 4, height: 8 });
});
