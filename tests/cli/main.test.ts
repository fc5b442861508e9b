import { access, mkdir, mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import type { BenchReport } from '../../src/bench/report.ts';
import { defaultTuningFile, loadTuning } from '../../src/runtime/tuning-store.ts';
import { widefield } from '../support/command-line.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'widefield-test-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

test('the version', async () => {
  expect(await widefield('--version')).toEqual({
    code: 0,
    out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) as string,
    err: '',
  });
});

test.each([
  [['frobnicate'], 'frobnicate'],
  [['bench', 'depthwise', '--frob'], '--frob'],
  [['bench', 'depthwise', '--shape', '1,2,3'], 'four numbers'],
  [['bench', 'depthwise', '--threads', '0'], 'from 1 to 64'],
  [['bench', 'depthwise', '--plot'], '--plot'],
  [['bench', 'pointwise', '--outputs', 'x'], 'whole number'],
  [['bench', 'train', 'model', 'replknet-31'], 'replknet-31b'],
])('wrong usage %j: one line, exit code 2', async (args, hint) => {
  const { code, out, err } = await widefield(...args);
  expect({ code, out }).toEqual({ code: 2, out: '' });
  expect(err).toContain(hint);
  expect(err.trim().split('\n')).toHaveLength(1);
});

const QUICK = ['--devices', 'wasm', '--peers', 'none', '--threads', '2', '--seconds', '0.01'];

test('bench depthwise prints JSON and draws the plot', async () => {
  const plot = path.join(folder, 'plot.svg');
  const args = ['--shape', '1,8,9,16', '--kernels', '3,5', '--json', '--plot', plot];
  const { code, out, err } = await widefield('bench', 'depthwise', ...args, ...QUICK);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  const { machine, rows } = JSON.parse(out) as BenchReport;
  expect(machine.threads).toBe(2);
  expect(
    rows.map(({ op, shape, kernel, engine, device, threads, correct }) => ({
      op,
      shape,
      kernel,
      engine,
      device,
      threads,
      correct,
    })),
  ).toEqual(
    [3, 5].map((kernel) => ({
      op: 'depthwise',
      shape: '1,8,9,16',
      kernel,
      engine: 'widefield-wasm',
      device: 'wasm',
      threads: 2,
      correct: true,
    })),
  );
  for (const row of rows) {
    expect(row.runs).toBeGreaterThanOrEqual(20);
    expect(row.minMs).toBeGreaterThan(0);
    expect(row.medianMs).toBeGreaterThanOrEqual(row.minMs);
    expect(row.maxRelError).toBeLessThan(1e-5);
    expect(row.gflops).toBeCloseTo((2 * 8 * 9 * 16 * Number(row.kernel) ** 2) / row.medianMs / 1e6);
  }
  expect(await readFile(plot, 'utf8')).toContain('widefield-wasm');
});

test.each([
  [['bench', 'depthwise'], '(default: 3,7,13,31,51)'],
  [['bench', 'train', 'depthwise'], '(default: 7,31,51)'],
  [['bench', 'train', 'model'], '(default: 4)'],
])('the help of %j says defaults as they are given', async (command, text) => {
  const { code, out } = await widefield(...command, '--help');
  expect(code).toBe(0);
  expect(out).toContain(text);
  expect(out).not.toMatch(/default: [[{]/);
});

test('bench pointwise prints a table for people', async () => {
  const args = ['--shape', '12,8', '--outputs', '4,20'];
  const { code, out, err } = await widefield('bench', 'pointwise', ...args, ...QUICK);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(out).toMatch(/^pointwise 12,8,4\nengine +threads +median ms/);
  expect(out).toContain('pointwise 12,8,20');
  expect(out).toContain('Machine: ');
});

test.each([
  [['depthwise', '--sparsity', '0.5', '--plot', 'never.svg'], /^A plot shows .*dense square kernels/],
  [['depthwise', '--kernels', '51x5', '--plot', 'never.svg'], /^A plot shows .*dense square kernels/],
  [['depthwise', '--sparsity', '0.5', '--tune'], /^--tune finds/],
])('options that do not go together are refused before anything is timed: %j', async (args, message) => {
  const { code, out, err } = await widefield('bench', ...args, ...QUICK);
  expect({ code, out }).toEqual({ code: 1, out: '' });
  expect(err).toMatch(message);
});

test('a benchmark in which nothing ran fails, with the reasons', async () => {
  const none = ['--devices', 'none', '--threads', '1', '--seconds', '0.01', '--peers'];
  const unable = await widefield(
    'bench',
    'pointwise',
    '--shape',
    '4,4',
    ...none,
    'pytorch',
    '--python',
    '/no',
  );
  expect(unable.code).toBe(1);
  expect(unable.err).toMatch(/^Nothing was measured: pytorch: .*\/no.*[^.]\.\n$/);
  const nobody = await widefield('bench', 'model', 'resnet-50', '--resolution', '32', ...none, 'none');
  expect(nobody.code).toBe(1);
  expect(nobody.err).toBe('Nothing was measured: name engines with --devices or --peers.\n');
  expect(nobody.out).toContain('fewer than two engines ran');
});

test.each([
  ['bench depthwise', ['--plot'], 'missing/plot.svg', 'there is no such file or folder'],
  ['bench model mobilenet-v2', ['--plot'], 'missing/plot.svg', 'there is no such file or folder'],
  ['bench block mbconv', ['--out'], 'folder.svg', 'it is a folder'],
  ['lab device', ['--out'], 'missing/plot.svg', 'there is no such file or folder'],
  ['erf slak-fashion', ['--images', '.', '--out'], 'missing/plot.svg', 'there is no such file or folder'],
])('%s: a file that cannot be written is refused before the work', async (command, options, name, reason) => {
  await mkdir(path.join(folder, 'folder.svg'));
  const file = path.join(folder, name);
  const outcome = await widefield(...command.split(' '), ...options, file);
  expect(outcome).toEqual({ code: 1, out: '', err: `${file} cannot be written: ${reason}.\n` });
  expect(await readdir(folder)).toEqual(['folder.svg']);
});

test('Ctrl-C ends a benchmark with exit code 130', async () => {
  const running = widefield('bench', 'pointwise', '--shape', '64,64', ...QUICK.slice(0, -1), '3600');
  await new Promise((resolve) => setTimeout(resolve, 500));
  process.emit('SIGINT');
  expect(await running).toMatchObject({ code: 130, err: 'Interrupted.\n', out: '' });
});

test.each([
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const)('%s ends a benchmark as Ctrl-C does, with exit code %d', async (name, code) => {
  const listeners = process.listenerCount(name);
  const running = widefield('bench', 'pointwise', '--shape', '64,64', ...QUICK.slice(0, -1), '3600');
  await new Promise((resolve) => setTimeout(resolve, 500));
  process.emit(name);
  process.emit('SIGINT'); // of the same launcher
  expect(await running).toMatchObject({ code, err: `Interrupted by ${name}.\n`, out: '' });
  expect(process.listenerCount(name)).toBe(listeners);
});

test('Ctrl-C while tuning: what has been measured stays on file', async (context) => {
  vi.stubEnv('XDG_CACHE_HOME', folder);
  try {
    const file = await defaultTuningFile();
    if (!file.startsWith(folder)) return context.skip('caches have a fixed place on this system');
    const shapes = ['--shape', '4,4;2048,2048', '--tune'];
    const running = widefield('bench', 'pointwise', ...shapes, ...QUICK);
    await vi.waitFor(() => access(file), { timeout: 20_000, interval: 10 });
    process.emit('SIGINT');
    expect(await running).toMatchObject({ code: 130, err: 'Interrupted.\n', out: '' });
    expect(await readdir(path.dirname(file))).toEqual(['tuning.json']);
    const records = [...(await loadTuning(file)).values()];
    expect(records.map(({ problem }) => problem)).toEqual([expect.stringMatching(/^pointwise.*4.*4/)]);
  } finally {
    vi.unstubAllEnvs();
  }
});

test.each(['stdout', 'stderr'] as const)(
  'a reader of %s that has gone ends the work as Ctrl-C does',
  async (name) => {
    const outcome = widefield('bench', 'depthwise', '--shape', '1,8,9,16', '--kernels', '3,5', ...QUICK);
    process[name].emit('error', Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
    expect(await outcome).toEqual({ code: 141, out: '', err: '' });
  },
);

test('standard output on a full disk ends the work as Ctrl-C does, and says so once', async () => {
  const outcome = widefield('bench', 'depthwise', '--shape', '1,8,9,16', '--kernels', '3,5', ...QUICK);
  for (const code of ['ENOSPC', 'EPIPE']) {
    process.stdout.emit('error', Object.assign(new Error(`write ${code}`), { code }));
  }
  const err = 'Results cannot be written to standard output: the disk is full.\n';
  expect(await outcome).toEqual({ code: 1, out: '', err });
});

test('standard error on a full disk costs remarks, not results', async () => {
  const outcome = widefield('bench', 'depthwise', '--shape', '1,8,9,16', '--kernels', '3', ...QUICK);
  process.stderr.emit('error', Object.assign(new Error('write ENOSPC'), { code: 'ENOSPC' }));
  expect(await outcome).toMatchObject({ code: 0, out: expect.stringContaining('depthwise') as string });
});
