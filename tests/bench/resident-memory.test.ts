import { expect, test } from 'vitest';

import { watchResident } from '../../src/bench/resident-memory.ts';

/** MiB by which memory grows from the second tenth of 40 steps to the last, where `take` gets a MiB in each. */
async function growth(take: (filled: Uint8Array) => void): Promise<number> {
  const step = (): Promise<void> => {
    take(new Uint8Array(2 ** 20).fill(1));
    return Promise.resolve();
  };
  const { first, last } = await watchResident(step, { steps: 40 });
  return (last - first) / 2 ** 20;
}

test('what is kept shows as growth, what is dropped does not', async () => {
  expect(await growth(() => undefined)).toBeLessThan(8);
  const kept: Uint8Array[] = [];
  expect(await growth((filled) => kept.push(filled))).toBeGreaterThan(24);
  expect(kept).toHaveLength(40);
});

test('steps are told of, and a signal ends them', async () => {
  const told: number[] = [];
  const steps = { steps: 3, onStep: (step: number) => told.push(step) };
  await watchResident(() => Promise.resolve(), steps);
  expect(told).toEqual([1, 2, 3]);
  const signal = AbortSignal.abort();
  await expect(watchResident(() => Promise.resolve(), { ...steps, signal })).rejects.toMatchObject({
    code: 'aborted',
  });
});
