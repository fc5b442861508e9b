import { expect, test } from 'vitest';

import { labelsFor } from '../../src/runtime/labels.ts';

test('a thousand classes are those of ImageNet-1K, in order', async () => {
  const labels = await labelsFor(1000);
  expect(labels.length).toBe(1000);
  expect(new Set(labels).size).toBe(1000);
  const known = {
    0: 'tench',
    207: 'golden retriever',
    285: 'Egyptian cat',
    504: 'coffee mug',
    967: 'espresso',
  };
  for (const [index, name] of Object.entries(known)) expect(labels[Number(index)]).toBe(name);
  expect(labels[999]).toBe('toilet tissue');
  for (const label of labels) expect(label).toMatch(/^[A-Za-z][A-Za-z' .-]*$/);
});

test('other classes are numbered', async () => {
  expect(await labelsFor(3)).toEqual(['class 0', 'class 1', 'class 2']);
  await expect(labelsFor(0)).rejects.toThrow(/positive integer/);
  await expect(labelsFor(1.5)).rejects.toThrow(/positive integer/);
});
