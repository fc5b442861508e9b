import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { beforeAll, expect, test, vi } from 'vitest';

import { buildScript } from '../support/build-script.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const inFolder = temporaryFolder();
let script = '';
beforeAll(async () => {
  script = fileURLToPath(await buildScript(inFolder(), 'interrupted', 'tests/support/interrupted.ts'));
});

test.skipIf(process.platform === 'win32').each(['SIGINT', 'SIGTERM'] as const)(
  '%s twice ends a process that hangs, which takes its temporary files away first',
  async (name) => {
    const pipe = inFolder(`pipe-${name}`);
    execFileSync('mkfifo', [pipe]);
    const child = spawn(process.execPath, [script, pipe], { stdio: ['ignore', 'pipe', 'inherit'] });
    let out = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
    const ended = once(child, 'close');
    await vi.waitFor(() => expect(out).toBe('ready '), { timeout: 10_000 });
    child.kill(name);
    child.kill(name); // of a launcher: the same
    await vi.waitFor(() => expect(out).toBe('ready asked '), { timeout: 10_000 });
    await setTimeout(700);
    expect(child.exitCode).toBeNull();
    child.kill(name);
    expect(await ended).toEqual([null, name]);
    expect(out).toBe('ready asked cleaned');
  },
  30_000,
);
