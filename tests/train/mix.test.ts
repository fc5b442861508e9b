import { describe, expect, it } from 'vitest';

import { Random, RandomStream } from '../../src/core/random.ts';
import { cutBox, drawMix, mixImages, targetsOf } from '../../src/train/mix.ts';
import golden from '../fixtures/recipe.json' with { type: 'json' };

const labels = Int32Array.from(golden.target);

function expectClose(found: Float32Array, wanted: readonly number[], digits: number): void {
  expect(found.length).toBe(wanted.length);
  wanted.forEach((value, i) => expect(found[i]).toBeCloseTo(value, digits));
}

describe('Mixup', () => {
  const { lam: share, smoothing, target, x_mixed: mixed } = golden.mixup;

  it("has timm's targets", () => {
    expectClose(targetsOf(labels, 5, smoothing, { kind: 'mixup', share }), target, 6);
  });

  it("mixes images with those from the batch's other end", () => {
    // [4, 1, 3, 3]: with one channel both layouts are the same.
    const images = new Random('unit.mix.x').array(36);
    mixImages({ kind: 'mixup', share }, images, [4, 3, 3, 1]);
    expectClose(images, mixed, 6);
  });
});

describe('CutMix', () => {
  const {
    img,
    lam_in: share,
    cy,
    cx,
    bbox_yl_yh_xl_xh: box,
    lam_corrected: corrected,
    target,
  } = golden.cutmix;
  const mix = cutBox(share, img[0] ?? 0, img[1] ?? 0, cy, cx);

  it("has timm's box, share and targets", () => {
    const { top, bottom, left, right } = mix.box;
    expect([top, bottom, left, right]).toEqual(box);
    expect(mix.share).toBe(corrected);
    expectClose(targetsOf(labels, 5, golden.mixup.smoothing, mix), target, 6);
  });

  it('exchanges the box and nothing else', () => {
    const [height, width] = [img[0] ?? 0, img[1] ?? 0];
    const images = Float32Array.from({ length: 2 * height * width * 3 }, (_, i) =>
      i < height * width * 3 ? 1 : 2,
    );
    mixImages(mix, images, [2, height, width, 3]);
    const first = images.subarray(0, height * width * 3);
    const foreign = first.filter((value) => value === 2).length / 3;
    expect(foreign / (height * width)).toBeCloseTo(1 - mix.share, 12);
    const { top, left } = mix.box;
    expect([...first.subarray((top * width + left) * 3, (top * width + left) * 3 + 3)]).toEqual([2, 2, 2]);
  });
});

describe('what happens to batches', () => {
  const DRAWS = 20_000;
  const draws = (options: Parameters<typeof drawMix>[0]) =>
    Array.from({ length: DRAWS }, (_, i) => drawMix(options, 32, 32, new RandomStream(7, i)));
  /** Five standard errors of a mean of so many draws: a right generator stays below them for all seeds but one in a million. */
  const sampling = (variance: number): number => 5 * Math.sqrt(variance / DRAWS);
  const share = (mixes: readonly { kind: string }[], kind: string): number =>
    mixes.filter((mix) => mix.kind === kind).length / mixes.length;

  it('is nothing by default', () => {
    expect(share(draws({}), 'none')).toBe(1);
  });

  it('follows the probabilities', () => {
    const mixes = draws({ mixup: 0.8, cutmix: 1, probability: 0.5, switch: 0.25 });
    for (const [kind, wanted] of Object.entries({ none: 0.5, cutmix: 0.125, mixup: 0.375 })) {
      expect(Math.abs(share(mixes, kind) - wanted), kind).toBeLessThan(sampling(wanted * (1 - wanted)));
    }
  });

  it('has shares of a Beta distribution: mean ½, variance 1 / (4 (2α + 1))', () => {
    for (const mixup of [0.2, 0.8, 3]) {
      const shares = draws({ mixup }).map((mix) => (mix.kind === 'none' ? NaN : mix.share));
      const mean = shares.reduce((a, b) => a + b) / shares.length;
      const variance = shares.reduce((sum, value) => sum + (value - mean) ** 2, 0) / shares.length;
      const wanted = 1 / (4 * (2 * mixup + 1));
      expect(Math.abs(mean - 0.5), `mean, α = ${mixup}`).toBeLessThan(sampling(wanted));
      // The variance of (x − ½)² / variance is its kurtosis, 3 − 6 / (2α + 3), less 1.
      const spread = sampling(2 - 6 / (2 * mixup + 3));
      expect(Math.abs(variance / wanted - 1), `variance, α = ${mixup}`).toBeLessThan(spread);
    }
  });
});
