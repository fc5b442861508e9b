import { expect, test } from 'vitest';

import { compare, quantile } from '../../src/bench/compare.ts';
import { quickest } from '../../src/bench/engine.ts';
import type { Engine } from '../../src/bench/engine.ts';

interface Fake extends Engine {
  disposed: boolean;
}

/** An engine whose times are made up: no test waits for them. Runs and turns are noted in `log`. */
function fake(name: string, milliseconds: (run: number) => number, log: string[] = []): Fake {
  let run = 0;
  return {
    name,
    device: 'wasm',
    threads: 1,
    config: '',
    timingIncludes: '',
    disposed: false,
    time: (iterations) => {
      log.push(name);
      return Promise.resolve(Array.from({ length: iterations }, () => milliseconds(run++)));
    },
    output: () => Promise.resolve(new Float32Array()),
    dispose() {
      this.disposed = true;
      return Promise.resolve();
    },
  };
}

const settle = (): Promise<void> => Promise.resolve();

test('every engine gets 20 runs and the time asked for', async () => {
  const timings = await compare(
    [fake('quick', () => 0.5), fake('middling', () => 40), fake('slow', () => 400)],
    { seconds: 2, settle },
  );
  expect(
    timings.map(({ engine, medianMs, minMs, spreadMs }) => ({
      name: engine.name,
      medianMs,
      minMs,
      spreadMs,
    })),
  ).toEqual([
    { name: 'quick', medianMs: 0.5, minMs: 0.5, spreadMs: 0 },
    { name: 'middling', medianMs: 40, minMs: 40, spreadMs: 0 },
    { name: 'slow', medianMs: 400, minMs: 400, spreadMs: 0 },
  ]);
  const runs = timings.map((timing) => timing.runs);
  expect(runs[0]).toBeGreaterThanOrEqual(4000);
  expect(runs.slice(1)).toEqual([50, 20]);
});

test('a very slow engine stops after ten times the time asked for, with at least 5 runs', async () => {
  const timings = await compare([fake('slow', () => 1000), fake('slower', () => 60_000)], {
    seconds: 1,
    settle,
  });
  expect(timings.map((timing) => timing.runs)).toEqual([10, 5]);
});

test('engines take turns, and no two of them always in the same order', async () => {
  const log: string[] = [];
  await compare(
    ['a', 'b', 'c'].map((name) => fake(name, () => 100, log)),
    { seconds: 2, settle },
  );
  const turns = log.join('').slice(9); // after three warm-up runs of each
  const rounds = turns.match(/.{3}/g) ?? [];
  expect(rounds.map((round) => [...round].sort().join(''))).toEqual(Array<string>(20).fill('abc'));
  // A rotation would have three, and b behind a in two of them.
  expect(new Set(rounds).size).toBeGreaterThan(3);
});

test('the first run of a turn of quick runs does not count', async () => {
  const [timing] = await compare([fake('a', (run) => (run % 26 === 3 ? 50 : 1))], { seconds: 0.2, settle });
  expect(timing).toMatchObject({ medianMs: 1, spreadMs: 0 });
  expect(timing?.runs).toBe(200);
});

test('warm-up ends when runs agree, and its runs do not count', async () => {
  const warm = [800, 300, 60, 50];
  const [timing] = await compare([fake('a', (run) => warm[run] ?? 50)], { seconds: 0.1, settle });
  expect(timing).toMatchObject({ medianMs: 50, runs: 20 });
});

test('progress grows to 1', async () => {
  const seen: number[] = [];
  await compare([fake('a', () => 10), fake('b', () => 3000)], {
    seconds: 0.5,
    settle,
    onProgress: (done) => seen.push(done),
  });
  expect(seen).toEqual([...seen].sort((a, b) => a - b));
  expect(seen.at(-1)).toBe(1);
});

test('a signal stops the comparison', async () => {
  const controller = new AbortController();
  const engine = fake('a', (run) => {
    if (run === 10) controller.abort();
    return 30;
  });
  await expect(compare([engine], { seconds: 9, settle, signal: controller.signal })).rejects.toMatchObject({
    code: 'aborted',
  });
});

test('an engine that fails makes the comparison fail', async () => {
  const broken = { ...fake('a', () => 1), time: () => Promise.reject(new Error('broke down')) };
  await expect(compare([broken], { seconds: 1, settle })).rejects.toThrow('broke down');
});

test.each([0, 5])('an engine that fails in its run %i is left out, and the others go on', async (last) => {
  const broken = fake('broken', (run) => {
    if (run === last) throw new Error('broke down');
    return 100;
  });
  const failures: string[] = [];
  const timings = await compare([fake('a', () => 100), broken, fake('b', () => 100)], {
    seconds: 1,
    settle,
    onFailure: ({ name }, error) => failures.push(`${name}: ${String(error)}`),
  });
  expect(timings.map(({ engine, runs }) => [engine.name, runs])).toEqual([
    ['a', 20],
    ['b', 20],
  ]);
  expect(failures).toEqual(['broken: Error: broke down']);
});

test('quantiles lie between the order statistics', () => {
  expect(quantile([1, 2, 3, 4, 5], 0.5)).toBe(3);
  expect(quantile([1, 2, 3, 4], 0.5)).toBe(2.5);
  expect(quantile([1, 2, 3, 4, 5], 0.25)).toBe(2);
  expect(quantile([7], 0.75)).toBe(7);
});

test('the quickest form is kept, the others are disposed of', async () => {
  const forms = [fake('a', () => 4), fake('b', () => 2), fake('c', () => 3)];
  const engine = await quickest(forms.map((form) => () => Promise.resolve(form)));
  expect(engine.name).toBe('b');
  expect(forms.map((form) => form.disposed)).toEqual([true, false, true]);
});
