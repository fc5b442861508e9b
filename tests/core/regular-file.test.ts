import { execFileSync } from 'node:child_process';
import { symlink, writeFile } from 'node:fs/promises';

import { expect, test } from 'vitest';

import { explain } from '../../src/core/explain.ts';
import { readRegularFile, readRegularFileSync } from '../../src/core/regular-file.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const inFolder = temporaryFolder();

async function reasons(path: string): Promise<string[]> {
  const reason = (error: unknown): string => explain(error);
  return [
    await readRegularFile(path).then(() => 'read', reason),
    await Promise.resolve()
      .then(() => readRegularFileSync(path))
      .then(() => 'read', reason),
  ];
}

test('files are read, also through links; what is none is not', async () => {
  await writeFile(inFolder('file'), 'content');
  await symlink('file', inFolder('link'));
  expect((await readRegularFile(inFolder('link'))).toString()).toBe('content');
  expect(readRegularFileSync(inFolder('link')).toString()).toBe('content');
  expect(await reasons(inFolder())).toEqual(['it is a folder', 'it is a folder']);
  const none = 'there is no such file or folder';
  expect(await reasons(inFolder('none'))).toEqual([none, none]);
});

test.skipIf(process.platform === 'win32')('nobody waits for somebody to write into a pipe', async () => {
  execFileSync('mkfifo', [inFolder('pipe')]);
  expect(await reasons(inFolder('pipe'))).toEqual(['it is not a file', 'it is not a file']);
  expect(await reasons('/dev/zero')).toEqual(['it is not a file', 'it is not a file']);
});
