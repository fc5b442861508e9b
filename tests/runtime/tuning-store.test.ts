import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

import type { TuningRecord } from '../../src/runtime/tuning-file.ts';
import { loadTuning, saveTuning } from '../../src/runtime/tuning-store.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'widefield-test-'));
});
afterEach(() => rm(folder, { recursive: true }));

function record(problem: string, medianMs: number): TuningRecord {
  return { machine: 'm', problem, family: 'f', config: { lanes: 4 }, medianMs };
}

test('a missing file is empty, and is made with its folder', async () => {
  const file = path.join(folder, 'a', 'b', 'tuning.json');
  expect(await loadTuning(file)).toEqual(new Map());
  await saveTuning([record('p', 1)], file);
  expect([...(await loadTuning(file)).values()]).toEqual([record('p', 1)]);
  expect(await readdir(path.dirname(file)), 'no leftovers').toEqual(['tuning.json']);
});

test('saving keeps other records and replaces equal ones', async () => {
  const file = path.join(folder, 'tuning.json');
  await saveTuning([record('p', 1), record('q', 2)], file);
  const all = await saveTuning([record('q', 3), record('r', 4)], file);
  expect([...all.values()]).toEqual([record('p', 1), record('q', 3), record('r', 4)]);
  expect(await loadTuning(file)).toEqual(all);
});

test('a corrupt file is named by loading, and left alone by saving', async () => {
  const file = path.join(folder, 'tuning.json');
  await saveTuning([record('p', 1)], file);
  const corrupt = (await readFile(file, 'utf8')).slice(0, 40);
  await writeFile(file, corrupt);
  const complaint = {
    code: 'invalid-argument',
    message: expect.stringContaining(`${file}: This is not a tuning file: delete it`) as string,
  };
  await expect(loadTuning(file)).rejects.toMatchObject(complaint);
  await expect(saveTuning([record('q', 2)], file)).rejects.toMatchObject(complaint);
  expect(await readFile(file, 'utf8')).toBe(corrupt);
});

test('a file that cannot be read or written is named', async () => {
  const file = path.join(folder, 'tuning.json');
  await mkdir(file);
  await expect(loadTuning(file)).rejects.toMatchObject({
    code: 'io',
    message: `The tuning file ${file} cannot be read: it is a folder.`,
  });
  await expect(saveTuning([record('p', 1)], file)).rejects.toMatchObject({ code: 'io' });
  const unwritable = path.join(file, 'file', 'tuning.json');
  await writeFile(path.join(file, 'file'), '');
  await expect(saveTuning([record('p', 1)], unwritable)).rejects.toMatchObject({ code: 'io' });
  expect(await readdir(folder), 'no leftovers').toEqual(['tuning.json']);
});
