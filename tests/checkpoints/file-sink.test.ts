import { readFile, readdir, writeFile } from 'node:fs/promises';

import { expect, test } from 'vitest';

import { openFileSink } from '../../src/checkpoints/file-sink.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const inFolder = temporaryFolder();

test('a file takes its name when it is whole; aborted, what was there stays', async () => {
  const path = inFolder('whole.bin');
  await writeFile(path, 'before');
  const aborted = await openFileSink(path);
  await aborted.write(Uint8Array.of(1, 2));
  await aborted.abort();
  expect(await readFile(path, 'utf8')).toBe('before');
  const sink = await openFileSink(path);
  await sink.write(Uint8Array.of(1, 2, 3));
  expect(await readFile(path, 'utf8')).toBe('before');
  await sink.close();
  expect([...(await readFile(path))]).toEqual([1, 2, 3]);
  expect(await readdir(inFolder('.'))).toEqual(['whole.bin']);
});

test('a process that exits meanwhile leaves no temporary file', async () => {
  const others = process.listeners('exit');
  const sink = await openFileSink(inFolder('half.bin'));
  await sink.write(Uint8Array.of(1));
  const added = process.listeners('exit').filter((listener) => !others.includes(listener));
  expect(added).toHaveLength(1);
  expect(await readdir(inFolder('.'))).toHaveLength(2);
  added.forEach((listener) => listener(130));
  expect(await readdir(inFolder('.'))).toEqual(['whole.bin']);
  await sink.abort();
  expect(process.listeners('exit')).toEqual(others);
});
