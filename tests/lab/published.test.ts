import { expect, test } from 'vitest';

import * as published from '../../src/lab/published.ts';
import { modelNames } from '../../src/models/zoo.ts';

const sets = Object.entries(published).flatMap(([name, set]) => ('rows' in set ? [{ name, ...set }] : []));

test('every set of published figures names a paper, where in it they are, and their setting', () => {
  expect(sets.length).toBeGreaterThan(8);
  for (const { name, source, setting } of sets) {
    // Authors and title, then the table, figure or section.
    expect.soft(source, name).toMatch(/\d{4}.*, .*(Table|Figure|figures|analysis|comparison|projection)/);
    expect.soft(setting, name).not.toBe('');
  }
});

test('every accuracy names its source, and is of a network of the zoo, once for each resolution', () => {
  for (const { model, source, top1 } of published.accuracies) {
    expect.soft(modelNames()).toContain(model);
    expect.soft(source, model).toMatch(/Table|table|comparison/);
    expect.soft(top1).toBeGreaterThan(50);
    expect.soft(top1).toBeLessThan(100);
  }
  const keys = published.accuracies.map(({ model, resolution }) => `${model} ${resolution}`);
  expect(new Set(keys).size).toBe(keys.length);
});
