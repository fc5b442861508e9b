import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { expect, test } from 'vitest';

import { examine, examineTuning } from '../../src/cli/doctor-facts.ts';

test('doctor finds out what works here', async () => {
  const facts = await examine({ python: '/nowhere/python' });
  const { machine, native, wasm, auto, peers } = facts;
  expect(machine.cores).toBeGreaterThan(0);
  expect(machine.node).toBe(process.versions.node);
  expect(wasm).toMatchObject({ simd: true, threads: true, available: true });
  expect(auto.device).toBe(native.available ? 'native' : 'wasm');
  if (native.available) {
    expect([4, 8, 16]).toContain(native.lanes);
    expect(native.flags).toContain('-O3');
    expect(native.compilerPath).toMatch(/^[/\\A-Z]/);
    expect(native.cacheFiles).toBeGreaterThan(0);
    expect(native.cacheMiB).toBeGreaterThan(0);
  } else {
    expect(native.reason).toMatch(/./);
    expect(auto.reason).toContain(native.reason);
  }
  expect(Object.keys(peers)).toEqual(['onnxruntime-node', 'onnxruntime-web', 'tfjs', 'jax-js', 'pytorch']);
  expect(peers.pytorch).toEqual({ absent: expect.stringContaining('/nowhere/python') as string });
});

test('a damaged tuning file is told', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'widefield-doctor-'));
  try {
    const file = path.join(folder, 'tuning.json');
    expect(await examineTuning(file)).toEqual({ file, records: 0 });
    await writeFile(file, '{');
    const problem = expect.stringContaining(`${file}: This is not a tuning file`) as string;
    expect(await examineTuning(file)).toEqual({ file, problem });
  } finally {
    await rm(folder, { recursive: true });
  }
});
