import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { build } from 'tsdown';
import { afterAll, beforeAll, expect, test } from 'vitest';

/** Runs a toy program once on two threads and prints whether the output is right; then forgets everything. */
const SCRIPT = `
import { openWasmDevice } from '${join(import.meta.dirname, '../../../src/devices/wasm.ts')}';
import { toyProgram, toyResult } from '${join(import.meta.dirname, '../../support/toy-program.ts')}';

const device = await openWasmDevice({ threads: 2 });
const executable = await device.compile(toyProgram(32, 3));
const floats = 32 * 16;
const start = Float32Array.from({ length: floats }, (_, i) => i);
executable.view('staging')[0] = 0.25;
await executable.prepare(0);
executable.view('arena').set(start);
// Nothing but this run keeps the process alive.
await executable.run();
const result = executable.view('arena').subarray(floats);
const expected = toyResult(32, 3, 0.5, start);
process.stdout.write(device.caps.threads + (expected.every((value, i) => value === result[i]) ? ' right' : ' wrong'));
`;

let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'widefield-bundle-'));
  await writeFile(join(folder, 'main.ts'), SCRIPT);
  await writeFile(join(folder, 'package.json'), '{"type": "module"}');
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

test('a minified bundle runs in one file, and a forgotten device does not keep the process alive', async () => {
  await build({
    config: false,
    entry: { main: join(folder, 'main.ts') },
    outDir: join(folder, 'dist'),
    format: 'esm',
    platform: 'browser',
    fixedExtension: false,
    minify: true,
    dts: false,
    logLevel: 'error',
  });
  const { stdout, stderr } = await promisify(execFile)(process.execPath, ['dist/main.js'], {
    cwd: folder,
    timeout: 60_000,
  });
  expect(stderr).toBe('');
  expect(stdout).toBe('2 right');
});
