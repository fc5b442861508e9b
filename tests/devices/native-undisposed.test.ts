import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { describe, test } from 'vitest';

import { buildScript } from '../support/build-script.ts';
import { temporaryFolder } from '../support/dataset-files.ts';
import { hasNativeDevice } from '../support/devices.ts';

const isHere = await hasNativeDevice();
const folder = await temporaryFolder();
const script = isHere
  ? fileURLToPath(await buildScript(folder, 'undisposed', 'tests/support/undisposed-device.ts'))
  : '';
const run = promisify(execFile);

// What the threads of a pool execute must stay when Node unloads what it has loaded; else every other one crashes.
describe.skipIf(!isHere)('a native device that is not disposed of', () => {
  test('lets its process end', async () => {
    for (let i = 0; i < 12; i++) await run(process.execPath, [script]);
  }, 60_000);

  test('lets its process go on when its thread is terminated', async () => {
    await run(process.execPath, [script, 'terminate']);
  }, 60_000);
});
