import { expect, test } from 'vitest';

import { ensemble, softTargets } from '../../src/train/teacher.ts';
import type { Teacher } from '../../src/train/teacher.ts';

const saying = (...logits: number[]): Teacher => ({ run: () => Promise.resolve(Float32Array.from(logits)) });
const images = new Float32Array(4);

test('several teachers give the mean of their logits: the geometric mean of what they think probable', async () => {
  const logits = await ensemble([saying(1, 2, 0), saying(3, 0, 0.5)]).run(images);
  expect([...logits]).toEqual([2, 1, 0.25]);
  const of = (values: Float32Array): Float32Array =>
    softTargets(new Float32Array(3), 3, values, { share: 1 });
  const [one, other] = [of(Float32Array.of(1, 2, 0)), of(Float32Array.of(3, 0, 0.5))];
  const products = one.map((value, i) => Math.sqrt(value * (other[i] ?? 0)));
  const total = products.reduce((a, b) => a + b, 0);
  of(logits).forEach((value, i) => {
    expect(value).toBeCloseTo((products[i] ?? 0) / total, 6);
  });
});

test('teachers are asked one after the other, and must agree on the number of classes', async () => {
  const events: string[] = [];
  const slow = (name: string): Teacher => ({
    async run() {
      events.push(`${name} begins`);
      await Promise.resolve();
      events.push(`${name} ends`);
      return new Float32Array(2);
    },
  });
  await ensemble([slow('a'), slow('b')]).run(images);
  expect(events).toEqual(['a begins', 'a ends', 'b begins', 'b ends']);
  await expect(ensemble([saying(1, 2), saying(1, 2, 3)]).run(images)).rejects.toThrow(
    /equally many logits.* 2.* 3/,
  );
});
