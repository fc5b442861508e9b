import { execFileSync } from 'node:child_process';

import { expect, test } from 'vitest';

import { readDeviceFile } from '../../src/lab/device-store.ts';
import { decodeImage } from '../../src/runtime/image/image.ts';
import { loadTuning } from '../../src/runtime/tuning-store.ts';
import { readLog } from '../../src/train/log.ts';
import { widefield } from '../support/command-line.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const inFolder = temporaryFolder();

test.skipIf(process.platform === 'win32')('nobody waits for pipes in place of files', async () => {
  const pipe = (name: string): string => {
    execFileSync('mkfifo', [inFolder(name)]);
    return inFolder(name);
  };
  await expect(decodeImage(pipe('pipe'))).rejects.toThrow(/it is not a file/);
  await expect(loadTuning(inFolder('pipe'))).rejects.toThrow(/it is not a file/);
  await expect(readDeviceFile(inFolder('pipe'))).rejects.toThrow(/it is not a file/);
  await expect(readLog(inFolder('pipe'))).rejects.toThrow();
  for (const args of [
    ['run', 'slak-fashion', '--input', pipe('pipe.npy')],
    ['classify', 'README.md', '--labels', inFolder('pipe')],
    ['describe', pipe('pipe.json')],
    ['train', '--config', inFolder('pipe')],
  ]) {
    const { code, err } = await widefield(...args);
    expect({ args, code, err }).toEqual({
      args,
      code: 1,
      err: expect.stringMatching(/it is not a file\.\n$/) as string,
    });
  }
});
