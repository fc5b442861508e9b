import { afterEach, expect, test, vi } from 'vitest';

import { examineTuning } from '../../src/cli/doctor-facts.ts';
import { userCacheFolder } from '../../src/core/cache-folder.ts';
import { LibraryCache } from '../../src/devices/native/cache.ts';
import { loadThisDevice } from '../../src/lab/device-store.ts';
import { loadTuning, saveTuning } from '../../src/runtime/tuning-store.ts';

afterEach(() => vi.doUnmock('env-paths'));

test("is the user's", async () => {
  expect(await userCacheFolder()).toMatch(/widefield/);
});

test('without a home, which some containers have not, whatever wants it says so, and code is kept elsewhere', async () => {
  vi.doMock('env-paths', () => {
    throw new Error('uv_os_homedir');
  });
  const sentence = 'The system knows of no home folder for this user: set HOME to one.';
  const error = { code: 'io', message: sentence };
  await expect(loadTuning()).rejects.toMatchObject(error);
  await expect(saveTuning([])).rejects.toMatchObject(error);
  await expect(loadThisDevice()).rejects.toMatchObject(error);
  expect(await examineTuning()).toEqual({ file: 'tuning.json', problem: sentence });
  expect(await LibraryCache.open()).toMatchObject({
    note: expect.stringContaining(`cannot be written (${sentence}), using `) as string,
  });
});
