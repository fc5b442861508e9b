import { expect, test } from 'vitest';

import type { EpochLine } from '../../src/train/log.ts';
import { groupRuns, spread } from '../../src/train/run-groups.ts';
import type { RunRecord } from '../../src/train/run-groups.ts';

function run(name: string, config: RunRecord['config'], top1: readonly number[]): RunRecord {
  const last = top1.at(-1);
  return {
    name,
    config,
    epochs: top1.map((value, epoch): EpochLine => ({
      ...{ type: 'epoch', epoch, step: epoch + 1, loss: 1, accuracy: 0.5, seconds: 1, elapsed: epoch },
      validation: { images: 100, loss: 1, top1: value, top5: 1 },
    })),
    result:
      last === undefined
        ? undefined
        : {
            ...{ top1: last, parameters: 10, macs: 20, seconds: 1 },
            ...{ remaining: undefined, remainingMacs: undefined },
          },
  };
}

test('runs that differ in their seed, folder or threads belong together; others do not', () => {
  const base = { model: 'slak-tiny', rate: 1e-3 };
  const groups = groupRuns([
    run('dense-1', { ...base, seed: 1, folder: 'a' }, [0.4, 0.5]),
    run('sparse-seed-1', { ...base, seed: 1, sparsity: { sparsity: 0.4 } }, [0.3, 0.4]),
    run('dense-2', { seed: 2, threads: 4, ...base }, [0.5, 0.7]),
    run('sparse-seed-2', { ...base, seed: 2, sparsity: { sparsity: 0.4 } }, [0.3]),
  ]);
  expect(groups.map(({ name, runs }) => [name, runs.length])).toEqual([
    ['dense', 2],
    ['sparse', 2],
  ]);
  expect(groups[0]?.top1?.mean).toBeCloseTo(0.6, 12);
  expect(groups[0]?.top1?.deviation).toBeCloseTo(Math.SQRT1_2 * 0.2, 12);
  expect(groups[0]?.curve.map(([epoch]) => epoch)).toEqual([1, 2]);
  expect(groups[1]?.curve.map(([epoch]) => epoch)).toEqual([1]); // the second run was evaluated but once
});

test('numbers of runs are no part of their name, however they begin; nor is what is written of the weights', () => {
  const groups = groupRuns([
    run('dense-10', { seed: 1, half: true }, [0.5]),
    run('dense-11', { seed: 2, half: false }, [0.5]),
    run('slak-51-1', { seed: 1, model: 'slak-51' }, [0.5]),
    run('slak-51-2', { seed: 2, model: 'slak-51' }, [0.5]),
  ]);
  expect(groups.map(({ name, runs }) => [name, runs.length])).toEqual([
    ['dense', 2],
    ['slak-51', 2],
  ]);
});

test('a single run keeps its name and has no deviation; one that goes on has no accuracy', () => {
  const [done, going] = groupRuns([run('dense-1', { seed: 1 }, [0.5]), run('other', { rate: 2 }, [])]);
  expect(done).toMatchObject({ name: 'dense-1', top1: { mean: 0.5, deviation: undefined } });
  expect(going).toMatchObject({ name: 'other', top1: undefined, curve: [] });
});

test('the spread of numbers', () => {
  expect(spread([])).toBeUndefined();
  expect(spread([1, 2, 3])).toEqual({ mean: 2, deviation: 1, least: 1, most: 3 });
});
