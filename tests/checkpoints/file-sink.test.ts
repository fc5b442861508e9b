import { execFileSync } from 'node:child_process';
import { lstat, mkdir, readFile, readdir, readlink, symlink, writeFile } from 'node:fs/promises';

import { expect, test } from 'vitest';

import { checkWritable, openFileSink } from '../../src/checkpoints/file-sink.ts';
import { writeWhole } from '../../src/checkpoints/write-file.ts';
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

test.skipIf(process.platform === 'win32')('links stay, and what they lead to is written', async () => {
  await mkdir(inFolder('links', 'real', 'deep'), { recursive: true });
  const at = (...names: string[]): string => inFolder('links', ...names);
  await writeFile(at('real', 'old.bin'), 'before');
  await symlink('real/old.bin', at('to-old'));
  await symlink('real/deep', at('folder'));
  // Through a linked folder, `..` is the folder above that which the link leads to: real.
  await symlink('../new.bin', at('real', 'deep', 'to-new'));
  await symlink('folder/to-new', at('to-link'));
  for (const name of ['to-old', 'to-link']) {
    const link = await readlink(at(name));
    checkWritable(at(name));
    await writeWhole(at(name), [name]);
    expect(await readlink(at(name))).toBe(link);
  }
  expect(await readFile(at('real', 'old.bin'), 'utf8')).toBe('to-old');
  expect(await readFile(at('real', 'new.bin'), 'utf8')).toBe('to-link');
  expect(await readdir(at('real'))).toEqual(['deep', 'new.bin', 'old.bin']);
  await symlink('round', at('round'));
  expect(() => checkWritable(at('round'))).toThrow(/round cannot be written: /);
});

test.skipIf(process.platform === 'win32')('pipes and devices are not replaced', async () => {
  execFileSync('mkfifo', [inFolder('pipe')]);
  await symlink('/dev/null', inFolder('null'));
  for (const name of ['pipe', 'null']) {
    const error = { code: 'io', message: `${inFolder(name)} cannot be written: it is not a file.` };
    await expect(openFileSink(inFolder(name))).rejects.toMatchObject(error);
    expect(() => checkWritable(inFolder(name))).toThrow(error.message);
  }
  expect((await lstat(inFolder('pipe'))).isFIFO()).toBe(true);
  const folder = { code: 'io', message: `${inFolder()} cannot be written: it is a folder.` };
  await expect(openFileSink(inFolder())).rejects.toMatchObject(folder);
});

test('a name may be as long as names can be', async () => {
  const name = 'n'.repeat(255);
  checkWritable(inFolder(name));
  await writeWhole(inFolder(name), ['long']);
  expect(await readFile(inFolder(name), 'utf8')).toBe('long');
  const tooLong = inFolder(`${name}n`);
  expect(() => checkWritable(tooLong)).toThrow(`${tooLong} cannot be written: its name is too long.`);
});
