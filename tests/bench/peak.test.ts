import { expect, test } from 'vitest';

import { measurePeak } from '../../src/bench/peak.ts';
import type { Device } from '../../src/devices/device.ts';
import { openNativeDevice } from '../../src/devices/native.ts';
import { openWasmDevice } from '../../src/devices/wasm.ts';
import { NO_COMPILER, hasNativeDevice } from '../support/devices.ts';

/** More than any core does: 32 floats in 4 vectors, or 2 of 16, are multiplied and added in a cycle, at 6 GHz. */
const MOST_GFLOPS = 2 * 32 * 6;

async function expectPlausible(open: Promise<Device>): Promise<void> {
  await using device = await open;
  const peak = await measurePeak(device);
  expect(peak).toBeGreaterThan(1);
  // What a compiler computes once for several sums would seem faster.
  expect(peak).toBeLessThan(MOST_GFLOPS);
}

test('the peak in WebAssembly is a plausible rate', () => expectPlausible(openWasmDevice({ threads: 1 })));

test('the native peak is a plausible rate', async (context) => {
  if (!(await hasNativeDevice())) context.skip(NO_COMPILER);
  await expectPlausible(openNativeDevice({ threads: 1 }));
});
