import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { beforeAll, expect, test } from 'vitest';

import type { LoaderRate } from '../../src/bench/bench-data.ts';
import { widefield } from '../support/command-line.ts';
import { encodedImage, temporaryFolder } from '../support/dataset-files.ts';

const folder = await temporaryFolder();
beforeAll(async () => {
  await mkdir(path.join(folder, 'cat'));
  for (const i of [1, 2, 3]) {
    await writeFile(path.join(folder, 'cat', `${i}.jpg`), await encodedImage('jpeg', i, 40, 30));
  }
  await writeFile(path.join(folder, 'cat', 'broken.jpg'), 'no image');
});

const QUICK = ['--resolution', '16', '--batch-size', '2', '--workers', '0', '--seconds', '0.1'];

test('bench data prints what a loader with the options of training does a second', async () => {
  const args = [...QUICK, '--transform-flip', '0', '--seed', '3', '--json'];
  const { code, out, err } = await widefield('bench', 'data', folder, ...args);
  expect(code).toBe(0);
  expect(err).toMatch(/broken\.jpg/);
  const report = JSON.parse(out) as LoaderRate & Readonly<Record<string, unknown>>;
  expect(report).toMatchObject({ resolution: 16, batchSize: 2, workers: 0, seed: 3 });
  expect(report.transform).toMatchObject({ flip: 0, crop: { kind: 'random-resized' } });
  const { images, seconds, imagesPerSecond, cores, imagesPerCoreSecond } = report;
  expect(seconds).toBeGreaterThanOrEqual(0.1);
  // More than one epoch of four.
  expect(images).toBeGreaterThan(4);
  expect(imagesPerSecond).toBeCloseTo(images / seconds, 6);
  expect(cores).toBeGreaterThan(0);
  expect(imagesPerCoreSecond).toBeCloseTo(imagesPerSecond / cores, 6);
});

test('bench data prints two lines for people', async () => {
  const { code, out } = await widefield('bench', 'data', folder, ...QUICK);
  expect(code).toBe(0);
  expect(out).toMatch(
    / at 16×16, batches of 2, 0 workers: [\d.,]+ images\/s\n.* images a second and core\n$/,
  );
});

test.each([
  [['--transform-crop', '{"kind":"zoom"}'], 2, 'random-resized'],
  [['--workers', '65'], 2, 'from 0 to 64'],
  [['--split', 'dev'], 1, 'dev'],
])('bench data %j: one sentence', async (args, code, hint) => {
  const result = await widefield('bench', 'data', folder, ...args);
  expect(result).toMatchObject({ code, out: '' });
  expect(result.err).toContain(hint);
  expect(result.err.trim().split('\n')).toHaveLength(1);
});
