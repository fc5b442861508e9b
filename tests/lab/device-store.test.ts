import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { loadThisDevice, readDeviceFile, saveThisDevice } from '../../src/lab/device-store.ts';
import { findDevice } from '../../src/lab/devices.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'widefield-lab-'));
});
afterEach(() => rm(folder, { recursive: true }));

test('a stored record comes back, and nothing else is left behind', async () => {
  const file = path.join(folder, 'new', 'device.json');
  expect(await loadThisDevice(file)).toBeUndefined();
  await saveThisDevice(findDevice('m1'), file);
  await saveThisDevice(findDevice('a5000'), file);
  expect(await loadThisDevice(file)).toEqual(findDevice('a5000'));
  expect(await readdir(path.dirname(file))).toEqual(['device.json']);
});

test('files that are missing or something else are named', async () => {
  const file = path.join(folder, 'device.json');
  await expect(readDeviceFile(file)).rejects.toThrow(`There is no device record ${file}`);
  await writeFile(file, 'not json');
  await expect(readDeviceFile(file)).rejects.toThrow(`${file}: It is not JSON.`);
  await expect(loadThisDevice(file)).rejects.toThrow(
    `${file}: It is not JSON. Measure again with \`widefield lab device\`.`,
  );
  await writeFile(file, '{"name": "x", "peak": {"f32": 1}, "bandwidth": -1}');
  await expect(loadThisDevice(file)).rejects.toThrow(/device\.json: .*"bandwidth".*got -1/);
});

test('a record that cannot be kept is named', async () => {
  await writeFile(path.join(folder, 'file'), '');
  const file = path.join(folder, 'file', 'device.json');
  await expect(saveThisDevice(findDevice('m1'), file)).rejects.toMatchObject({
    code: 'io',
    message: `The device record ${file} cannot be written: there is a file in place of the folder.`,
  });
});
