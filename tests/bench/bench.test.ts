import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { expect, test, vi } from 'vitest';

import { runBench } from '../../src/bench/bench.ts';
import { depthwiseCase } from '../../src/bench/case.ts';
import { formatReport } from '../../src/cli/bench-table.ts';

const OPTIONS = { devices: ['wasm'], peers: [], threads: 2, seconds: 0.01, tune: false } as const;

test('channels that are not a multiple of lanes are spread to the pitch and gathered again', async () => {
  const cases = [depthwiseCase([2, 7, 6, 5], { height: 5, width: 3 })];
  const { rows } = await runBench(cases, 1, OPTIONS);
  expect(rows).toHaveLength(1);
  expect(rows[0]).toMatchObject({ engine: 'widefield-wasm', kernel: '5x3', shape: '2,7,6,5', correct: true });
});

test('peers that are missing are listed, with the reason', async () => {
  const cases = [depthwiseCase([1, 4, 4, 4], { height: 3, width: 3 })];
  const report = await runBench(cases, 1, { ...OPTIONS, peers: ['pytorch'], python: '/nowhere/python' });
  expect(report.rows).toHaveLength(1);
  expect(report.skipped).toEqual([
    { engine: 'pytorch', reason: expect.stringContaining('/nowhere') as string },
  ]);
  expect(formatReport(report, ['pytorch'])).toContain('Not measured: pytorch: /nowhere/python');
});

test('without a compiler, what was not asked for by name is skipped', async () => {
  const cases = (): ReturnType<typeof depthwiseCase>[] => [
    depthwiseCase([1, 4, 4, 4], { height: 3, width: 3 }),
  ];
  const { devices, ...options } = OPTIONS;
  vi.stubEnv('PATH', '/nowhere');
  vi.stubEnv('CC', '');
  try {
    const report = await runBench(cases(), 1, options);
    expect(report.rows.map(({ engine }) => engine)).toEqual(['widefield-wasm']);
    expect(report.skipped).toEqual([
      { engine: 'widefield-native', reason: expect.stringMatching(/compiler/) as string },
    ]);
    const named = { ...options, devices: ['native', ...devices] as const };
    await expect(runBench(cases(), 1, named)).rejects.toMatchObject({ code: 'unsupported' });
  } finally {
    vi.unstubAllEnvs();
  }
});

test('tuning measures once and keeps the winner in the file', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'widefield-test-'));
  try {
    const tuningFile = path.join(folder, 'tuning.json');
    const options = { ...OPTIONS, tune: true, tuningFile };
    const activities: string[] = [];
    const run = async (): Promise<number> => {
      activities.length = 0;
      const cases = [depthwiseCase([1, 5, 5, 4], { height: 3, width: 3 })];
      await runBench(cases, 1, { ...options, onProgress: (activity) => activities.push(activity) });
      return activities.filter((activity) => activity.startsWith('tuning wasm')).length;
    };
    expect(await run()).toBeGreaterThan(0);
    expect(await readFile(tuningFile, 'utf8')).toContain('depthwise');
    expect(await run()).toBe(0);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('a signal that fired already stops everything', async () => {
  const cases = [depthwiseCase([1, 4, 4, 4], { height: 3, width: 3 })];
  await expect(runBench(cases, 1, { ...OPTIONS, signal: AbortSignal.abort() })).rejects.toMatchObject({
    code: 'aborted',
  });
});
