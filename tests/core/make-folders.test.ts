import { mkdir, readdir, stat, symlink, writeFile } from 'node:fs/promises';

import { expect, test } from 'vitest';

import { explain } from '../../src/core/explain.ts';
import { makeFolders } from '../../src/core/make-folders.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const inFolder = temporaryFolder();

test('folders are made level by level, also by several at once and through links', async () => {
  await Promise.all(Array.from({ length: 8 }, () => makeFolders(inFolder('a', 'b', 'c'), 0o700)));
  expect(await readdir(inFolder('a', 'b'))).toEqual(['c']);
  if (process.platform !== 'win32') {
    for (const level of ['a', 'a/b']) expect((await stat(inFolder(level))).mode & 0o777).toBe(0o700);
  }
  await makeFolders(inFolder('a', 'b', 'c'));
  await mkdir(inFolder('target'));
  await symlink('target', inFolder('link'));
  await makeFolders(inFolder('link', 'd'));
  expect(await readdir(inFolder('target'))).toEqual(['d']);
});

test.each([
  ['is a file', 'file', 'there is a file in place of the folder'],
  [
    'is below a file',
    'file/inside/folder',
    /there is a file in place of the folder|a part of its path is a file/,
  ],
  ['is a link to nothing', 'dangling', 'there is a file in place of the folder'],
])('what %s is no folder', async (_, name, reason) => {
  await writeFile(inFolder('file'), '');
  await symlink('nowhere', inFolder('dangling')).catch(() => undefined);
  const error = await makeFolders(inFolder(name)).catch((thrown: unknown) => thrown);
  expect(explain(error)).toMatch(reason);
});

test.skipIf(process.platform !== 'linux')('where there can be no folders, nobody waits for one', async () => {
  await expect(makeFolders('/proc/widefield/folder')).rejects.toThrow();
});
