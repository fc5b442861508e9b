import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { runCompileBench } from '../../src/bench/bench-compile.ts';
import { depthwiseCase } from '../../src/bench/case.ts';
import { hasNativeDevice } from '../support/devices.ts';

const hasCompiler = await hasNativeDevice();

const CASES = [depthwiseCase([1, 8, 9, 20], { height: 3, width: 5 })];

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'widefield-test-'));
  vi.stubEnv('TMPDIR', folder);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

test.skipIf(!hasCompiler)('compiles anew on every device, and leaves nothing behind', async () => {
  const activities: string[] = [];
  const { machine, rows } = await runCompileBench(CASES, 1, {
    threads: 2,
    runs: 20,
    onProgress: (activity, done) => activities.push(`${activity}, ${done}`),
  });
  expect(rows).toMatchObject([
    { engine: 'widefield-native', shape: '1,8,9,20', kernel: '3x5', threads: 2, runs: 20 },
    { engine: 'widefield-wasm', cachedMs: null },
  ]);
  expect(Object.keys(machine.devices)).toEqual(['widefield-native', 'widefield-wasm']);
  for (const { planMs, firstMs, growthKiB } of rows) {
    expect(Math.min(planMs, firstMs)).toBeGreaterThan(0);
    expect(growthKiB).toBeLessThan(2 ** 20);
  }
  expect(rows[0]?.cachedMs).toBeGreaterThan(0);
  expect(activities.at(-1)).toBe('kernel 3x5 on wasm: run 20 of 20, 1');
  expect(await readdir(folder)).toEqual([]);
});

test('without a compiler, what was not asked for by name is left out', async () => {
  vi.stubEnv('PATH', '/nowhere');
  const warnings: string[] = [];
  const options = { threads: 1, runs: 2, onWarning: (message: string) => warnings.push(message) };
  const { rows } = await runCompileBench([...CASES, ...CASES], 2, options);
  expect(rows.map(({ engine }) => engine)).toEqual(['widefield-wasm', 'widefield-wasm']);
  expect(warnings).toEqual([expect.stringMatching(/^widefield-native is left out: .*compiler/)]);
  await expect(runCompileBench(CASES, 1, { ...options, devices: ['native'] })).rejects.toMatchObject({
    code: 'unsupported',
  });
  await expect(runCompileBench(CASES, 1, { ...options, signal: AbortSignal.abort() })).rejects.toMatchObject({
    code: 'aborted',
  });
  expect(await readdir(folder)).toEqual([]);
});
