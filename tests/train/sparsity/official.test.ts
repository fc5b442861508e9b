import { beforeAll, describe, expect, test } from 'vitest';

import { syntheticWeights } from '../../../src/checkpoints/synthetic.ts';
import { Random } from '../../../src/core/random.ts';
import { parametersOf } from '../../../src/graph/graph.ts';
import { buildModel } from '../../../src/models/zoo.ts';
import { erkDensities, snipSensitivity } from '../../../src/train/sparsity/density.ts';
import { exchangeOfficial } from '../../../src/train/sparsity/exchange.ts';
import { firstMasksOfficial, snipDensities } from '../../../src/train/sparsity/masks.ts';
import type { MaskedLayer } from '../../../src/train/sparsity/masks.ts';
import { pruneRate } from '../../../src/train/sparsity/rate.ts';
import { isMasked } from '../../../src/train/sparsity/scope.ts';
import type { Uniform } from '../../../src/train/sparsity/select.ts';
import golden from '../../fixtures/sparsity.json' with { type: 'json' };

/** What the official SLaK code does, with its random numbers replaced by those of the fixtures. */

const bitsOf = (mask: Float32Array): string => mask.join('');
const maskOf = (bits: string): Float32Array => Float32Array.from(bits, Number);

/** u(key, 0), u(key, 1), … of the fixtures' generator. */
function uniform(key: string): Uniform {
  const random = new Random(key);
  let next = 0;
  return () => (random.bits(next++) >>> 8) * 2 ** -24;
}

describe('SNIP on the toy network', () => {
  const { order, scores, grads, n_keep, threshold, score_mask_strict_gt, layer_sparsity } = golden.snip;
  type Key = keyof typeof scores;
  const keys = order as Key[];
  const layers: MaskedLayer[] = [];
  const density = golden.snip.keep_ratio;

  // PyTorch's network has these weights, and these gradients.
  beforeAll(async () => {
    const shapes = { 'conv.weight': [3, 1, 3, 3], 'dw.weight': [3, 1, 5, 5], 'head.weight': [4, 3] };
    const weights = syntheticWeights(keys.map((key) => ({ key, shape: shapes[key] })));
    for (const key of keys) {
      const values = Float32Array.from(await weights.read(key));
      const gradients = Float32Array.from(grads[key]);
      layers.push({ key, shape: shapes[key], values, gradients, mask: new Float32Array(values.length) });
    }
  });

  test("has PyTorch's scores, |w · ∂L/∂w|", () => {
    const wanted = keys.flatMap((key) => scores[key]);
    const { scores: found } = snipSensitivity(layers, density);
    expect(found.length).toBe(wanted.length);
    // Weight, gradient and score are rounded to float32: 2^-24 each. Goldens have ten digits.
    wanted.forEach((score, i) => {
      expect(Math.abs((found[i] ?? NaN) / score - 1)).toBeLessThan(3 * 2 ** -24 + 1e-9);
    });
  });

  test('keeps as many weights, above the same threshold', () => {
    const found = snipSensitivity(layers, density);
    expect(found.keep).toBe(n_keep);
    expect(found.threshold).toBeCloseTo(threshold, 9);
    const above = Array.from(found.scores, (score) => (score > found.threshold ? '1' : '0')).join('');
    expect(above).toBe(keys.map((key) => score_mask_strict_gt[key]).join(''));
  });

  test('gives layers their densities, and draws masks by them', () => {
    const densities = snipDensities(layers, density);
    for (const key of keys) expect(densities.get(key)).toBe(1 - layer_sparsity[key]);
    const dense = firstMasksOfficial(layers, {
      rule: 'snip',
      density,
      uniformOf: (key) => uniform(`unit.snip.rand.${key}`),
    });
    expect(dense).toEqual([]);
    expect(layers.map(({ mask }) => bitsOf(mask))).toEqual(
      keys.map((key) => golden.snip.final_random_mask[key]),
    );
  });
});

describe('ERK', () => {
  const { toy } = golden.erk;
  const toyLayers = Object.entries(toy.shapes).map(([key, shape]) => ({ key, shape }));

  test.each([
    [1 - 0.4, toy['density0.6']],
    [1 - 0.9, toy['density0.1']],
  ])('toy network, density %d', (density, expected) => {
    expect(Object.fromEntries(erkDensities(toyLayers, density))).toEqual(expected);
  });

  test('SLaK-T, density 0.6', () => {
    const layers = parametersOf(buildModel('slak-tiny', { resolution: 224 })).filter((parameter) =>
      isMasked(parameter, 'all'),
    );
    const densities = erkDensities(layers, 0.6);
    const expected = Object.entries(golden.erk['slak_tiny_density0.6']);
    expect(densities.size).toBe(expected.length);
    for (const [key, density] of expected) expect(densities.get(key), key).toBeCloseTo(density, 9);
  });
});

test('the share of exchanged weights falls by a cosine', () => {
  const { prune_rate, T_max, values_t0_to_100 } = golden.death_rate;
  values_t0_to_100.forEach((value, step) => {
    expect(pruneRate(prune_rate, step, T_max)).toBeCloseTo(value, 9);
  });
});

describe('an exchange of weights', () => {
  const { mask0, prune_rate, mask_after_grow, nonzero0, nonzero1, w_after } = golden.dst_step;
  const values = new Random('unit.dst.w').array(150);
  const mask = maskOf(mask0);
  values.forEach((value, i) => (values[i] = value * (mask[i] ?? 0)));
  const draw = uniform('unit.dst.mask');

  test('starts from the mask of the fixture', () => {
    expect(Array.from(mask, () => (draw() < 0.6 ? 1 : 0)).join('')).toBe(mask0);
  });

  test('leaves the same mask, and the same weights bit for bit', () => {
    const counts = exchangeOfficial(
      { values, mask },
      { rate: prune_rate, uniform: uniform('unit.dst.grow') },
    );
    expect(bitsOf(mask)).toBe(mask_after_grow);
    expect(counts).toEqual({
      pruned: golden.dst_step.removed,
      grown: nonzero1 - nonzero0 + golden.dst_step.removed,
    });
    expect(values).toEqual(Float32Array.from(w_after));
  });
});
