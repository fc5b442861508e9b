import { chmod, writeFile } from 'node:fs/promises';

import { expect, test } from 'vitest';

import { PythonProcess } from '../../src/bench/peers/python-process.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const inFolder = temporaryFolder();

async function standIn(name: string, script: string): Promise<PythonProcess> {
  await writeFile(inFolder(name), `#!/bin/sh\n${script}\n`);
  await chmod(inFolder(name), 0o755);
  return new PythonProcess(inFolder(name), '');
}

test.skipIf(process.platform === 'win32')(
  'an interpreter that does not answer is not waited for',
  async () => {
    const silent = await standIn('silent', 'sleep 60');
    await expect(silent.greeting(0.1)).rejects.toThrow('it does not answer within 0.1 s');
    silent.end();
    const polite = await standIn('polite', `echo '{"version": "1"}'; cat`);
    expect((await polite.greeting(20)).header).toEqual({ version: '1' });
    polite.end();
  },
);
