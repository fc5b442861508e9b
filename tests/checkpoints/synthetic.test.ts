import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { syntheticInput, syntheticWeights } from '../../src/checkpoints/synthetic.ts';
import { Random } from '../../src/core/random.ts';
import { FOLDER } from './fixtures.ts';

/** Test vectors made by PyTorch's side of the generator. */
const vectors = JSON.parse(readFileSync(new URL('generator.json', FOLDER), 'utf8')) as {
  readonly generator: readonly { readonly key: string; readonly raw: number[]; readonly t: number[] }[];
  readonly generator_values: readonly {
    readonly key: string;
    readonly shape: number[];
    readonly first6: number[];
    readonly last: [number];
  }[];
};

describe('synthetic weights', () => {
  it.each(vectors.generator)('are numbered by the key: $key', ({ key, raw, t }) => {
    const random = new Random(key);
    expect(raw.map((_, i) => random.bits(i))).toEqual(raw);
    expect(t.map((_, i) => random.signed(i))).toEqual(t);
  });

  it.each(vectors.generator_values)(
    'have the right scale: $key $shape',
    async ({ key, shape, first6, last }) => {
      const values = await syntheticWeights([{ key, shape }]).read(key);
      expect(values.slice(0, 6)).toEqual(Float32Array.from(first6));
      expect(values.at(-1)).toBe(Math.fround(last[0]));
      expect(values.length).toBe(shape.reduce((a, b) => a * b, 1));
    },
  );

  it('count no batches', async () => {
    const source = syntheticWeights([{ key: 'bn.num_batches_tracked', shape: [] }]);
    expect(source.entries.get('bn.num_batches_tracked')).toEqual({ shape: [], dtype: 'int64' });
    expect(await source.read('bn.num_batches_tracked')).toEqual(Float32Array.of(0));
  });

  it('are not made up for parameters of unknown roles or models', async () => {
    const source = syntheticWeights([{ key: 'grn.beta', shape: [3] }]);
    await expect(source.read('grn.beta')).rejects.toThrow('no synthetic weights for grn.beta');
    await expect(source.read('other.weight')).rejects.toThrow('has no tensor other.weight');
  });
});

it('synthetic input has the values of NCHW in the order of NHWC', () => {
  const t = vectors.generator.find(({ key }) => key === 'input')?.t ?? [];
  const values = syntheticInput([1, 3, 1, 2]);
  expect(values).toEqual(Float32Array.from([t[0], t[2], t[4], t[1], t[3], t[5]], (value) => value ?? NaN));
  const random = new Random('input2');
  const [n, c, y, x] = [1, 2, 3, 4];
  expect(syntheticInput([2, 3, 5, 7], 'input2')[((n * 5 + y) * 7 + x) * 3 + c]).toBe(
    random.signed(((n * 3 + c) * 5 + y) * 7 + x),
  );
});
