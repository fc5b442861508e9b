import { expect, test } from 'vitest';

import { measurePeak } from '../../src/bench/peak.ts';
import { openWasmDevice } from '../../src/devices/wasm.ts';

test('the peak is a plausible rate: more than one operation a nanosecond, less than any core can', async () => {
  const device = await openWasmDevice({ threads: 1 });
  const peak = await measurePeak(device);
  await device.dispose();
  expect(peak).toBeGreaterThan(1);
  expect(peak).toBeLessThan(1000);
});
