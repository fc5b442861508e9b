import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { resize } from '../../../src/runtime/image/resize.ts';
import type { Interpolation } from '../../../src/runtime/image/resize.ts';
import type { RgbImage } from '../../../src/runtime/image/rgb.ts';
import { draw, noise } from '../../support/sample-images.ts';

const INTERPOLATIONS: readonly Interpolation[] = ['bilinear', 'bicubic'];
const side = fc.integer({ min: 1, max: 40 });

/** The definition, in floating point: weights of |i + ½ − c| / s, one axis after the other, without rounding. */
function exact(image: RgbImage, width: number, height: number, interpolation: Interpolation): number[] {
  const kernel = (x: number): number => {
    const d = Math.abs(x);
    if (interpolation === 'bilinear') return Math.max(0, 1 - d);
    if (d < 1) return 1.5 * d ** 3 - 2.5 * d ** 2 + 1;
    return d < 2 ? -0.5 * d ** 3 + 2.5 * d ** 2 - 4 * d + 2 : 0;
  };
  const reach = interpolation === 'bilinear' ? 1 : 2;
  const weights = (inputs: number, outputs: number, o: number): number[] => {
    const s = Math.max(inputs / outputs, 1);
    const centre = ((o + 0.5) * inputs) / outputs;
    const from = Math.max(0, Math.trunc(centre - reach * s + 0.5));
    const to = Math.min(inputs, Math.trunc(centre + reach * s + 0.5));
    const raw = Array.from({ length: inputs }, (_, i) =>
      i < from || i >= to ? 0 : kernel((i + 0.5 - centre) / s),
    );
    const sum = raw.reduce((a, b) => a + b, 0);
    return raw.map((w) => w / sum);
  };
  const clip = (x: number): number => Math.min(255, Math.max(0, x));
  const at = (y: number, x: number, c: number): number => image.data[(y * image.width + x) * 3 + c] ?? NaN;
  const out: number[] = [];
  const across = Array.from({ length: width }, (_, x) => weights(image.width, width, x));
  for (let y = 0; y < height; y++) {
    const down = weights(image.height, height, y);
    for (const w of across) {
      for (let c = 0; c < 3; c++) {
        const rows = down.map((_, i) => clip(w.reduce((sum, weight, j) => sum + weight * at(i, j, c), 0)));
        out.push(clip(down.reduce((sum, weight, i) => sum + weight * (rows[i] ?? NaN), 0)));
      }
    }
  }
  return out;
}

describe.each(INTERPOLATIONS)('%s', (interpolation) => {
  test('is the definition, up to two roundings to 8 bits', () => {
    fc.assert(
      fc.property(side, side, side, side, (w, h, outW, outH) => {
        const image = noise(w, h, `${w} ${h}`);
        const result = resize(image, outW, outH, interpolation);
        const expected = exact(image, outW, outH, interpolation);
        // ½ for the last rounding, and ½ · Σ|weights| ≤ 0.75 for the one between the passes.
        const worst = Math.max(...expected.map((value, i) => Math.abs(value - (result.data[i] ?? NaN))));
        expect(worst).toBeLessThan(1.26);
      }),
      { numRuns: 40 },
    );
  });

  test('a constant image stays constant', () => {
    fc.assert(
      fc.property(side, side, side, side, fc.integer({ min: 0, max: 255 }), (w, h, outW, outH, value) => {
        const result = resize(
          draw(w, h, () => [value, 255 - value, 7]),
          outW,
          outH,
          interpolation,
        );
        const expected = draw(outW, outH, () => [value, 255 - value, 7]);
        expect(result).toEqual(expected);
      }),
      { numRuns: 60 },
    );
  });

  test('the same size is the same image', () => {
    const image = noise(23, 17, 'same');
    expect(resize(image, 23, 17, interpolation)).toEqual(image);
  });

  test('a part is that part of the whole', () => {
    fc.assert(
      fc.property(side, side, side, side, fc.nat(), fc.nat(), (w, h, outW, outH, a, b) => {
        const image = noise(w, h, `part ${w} ${h}`);
        const whole = resize(image, outW, outH, interpolation);
        const [left, top] = [a % outW, b % outH];
        const [width, height] = [1 + (b % (outW - left)), 1 + (a % (outH - top))];
        const part = resize(image, outW, outH, interpolation, { left, top, width, height });
        const expected = draw(width, height, (x, y) => {
          const at = ((top + y) * outW + left + x) * 3;
          return [...whole.data.subarray(at, at + 3)];
        });
        expect(part).toEqual(expected);
      }),
      { numRuns: 60 },
    );
  });
});

test('the part of a thread drawn out to a gigantic height costs no more than the part', () => {
  const thread = noise(1, 5000, 'thread');
  const part = { left: 100, top: 640_000 - 112, width: 224, height: 224 };
  expect(resize(thread, 1000, 1_280_000, 'bicubic', part).data.length).toBe(224 * 224 * 3);
});

test('parts that are not inside are refused', () => {
  const image = noise(4, 4, 'refused');
  for (const part of [
    { left: 0, top: 0, width: 9, height: 8 },
    { left: -1, top: 0, width: 2, height: 2 },
    { left: 0, top: 0, width: 0, height: 2 },
    { left: 0.5, top: 0, width: 2, height: 2 },
  ]) {
    expect(() => resize(image, 8, 8, 'bicubic', part)).toThrow(/no part/);
  }
});
