import { describe, expect, test } from 'vitest';

import { candidates } from '../../src/kernels/index.ts';
import { encode } from '../../src/kernels/signature.ts';
import { openDevice } from '../../src/runtime/open.ts';
import { tune } from '../../src/runtime/tune.ts';
import type { TuneProgress } from '../../src/runtime/tune.ts';
import { product } from '../support/small-problems.ts';
import { NO_COMPILER, openIfHere } from '../support/devices.ts';

describe.each(['wasm', 'native'] as const)('tuning on %s', (name) => {
  const open = () => openIfHere(() => openDevice(name, { threads: 1 }));

  test('measures every candidate and returns one of them', async (context) => {
    await using device = await open();
    if (device === undefined) return context.skip(NO_COMPILER);
    const all = candidates(product, device.caps);
    const steps: TuneProgress[] = [];
    const winner = await tune(device, product, { budgetMs: 1, onProgress: (step) => steps.push(step) });
    expect(steps.map((step) => step.done)).toEqual(all.map((_, i) => i + 1));
    expect(steps[0]?.medianMs).toBeGreaterThan(0);
    expect(all.map(({ family, config }) => ({ family, config }))).toContainEqual({
      family: winner.family,
      config: winner.config,
    });
    expect(winner).toMatchObject({ machine: device.caps.fingerprint, problem: encode(product) });
    expect(winner.medianMs).toBeGreaterThan(0);
  });

  test('stops when it is told to', async (context) => {
    await using device = await open();
    if (device === undefined) return context.skip(NO_COMPILER);
    const abort = new AbortController();
    let steps = 0;
    const tuning = tune(device, product, {
      signal: abort.signal,
      budgetMs: 1,
      onProgress: () => {
        steps++;
        abort.abort();
      },
    });
    await expect(tuning).rejects.toMatchObject({ code: 'aborted' });
    expect(steps).toBe(1);
  });
});
