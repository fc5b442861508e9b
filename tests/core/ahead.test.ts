import { expect, test } from 'vitest';

import { ahead } from '../../src/core/ahead.ts';

test('outcomes come in order, with a limited number of tasks under way', async () => {
  let underWay = 0;
  let most = 0;
  const seen: (number | string)[] = [];
  const task = async (item: number): Promise<number> => {
    most = Math.max(most, ++underWay);
    await new Promise((resolve) => setTimeout(resolve, 3 * ((7 * item) % 5)));
    underWay--;
    if (item === 4) throw new Error('four');
    return item * item;
  };
  for await (const { item, value, error } of ahead([0, 1, 2, 3, 4, 5, 6, 7], 3, task)) {
    seen.push(error?.message ?? value ?? item);
  }
  expect(seen).toEqual([0, 1, 4, 9, 'four', 25, 36, 49]);
  expect(most).toBe(4);
});

test('tasks go on while nobody asks', async () => {
  const started: number[] = [];
  const outcomes = ahead([0, 1, 2, 3, 4], 2, (item) => {
    started.push(item);
    return Promise.resolve(item);
  });
  await outcomes.next();
  expect(started).toEqual([0, 1, 2]);
  await outcomes.next();
  expect(started).toEqual([0, 1, 2, 3]);
});
