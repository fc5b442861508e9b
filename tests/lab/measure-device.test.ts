import { expect, test } from 'vitest';

import { openWasmDevice } from '../../src/devices/wasm.ts';
import { parseDevice } from '../../src/lab/devices.ts';
import { measureDevice, thisDevice } from '../../src/lab/measure-device.ts';

test('a measured machine has plausible figures, and a record that is valid', async () => {
  const device = await openWasmDevice({ threads: 1 });
  const measured = await measureDevice(device, { arrayFloats: 2 ** 20 });
  await device.dispose();
  expect(measured.threads).toBe(1);
  for (const bandwidth of [measured.readBandwidth, measured.copyBandwidth, measured.triadBandwidth]) {
    // Slower than any memory of this century, faster than any core can load.
    expect(bandwidth).toBeGreaterThan(1e8);
    expect(bandwidth).toBeLessThan(1e12);
  }
  expect(measured.cacheBandwidth).toBeGreaterThan(measured.readBandwidth / 2);
  expect([2 ** 20, 2 ** 21, 2 ** 22]).toContain(measured.cacheBytes);
  const two = { ...measured, threads: 2, peak: 2 * measured.peak, copyBandwidth: 9e11 };
  const record = thisDevice([measured, two], 'test');
  expect(record).toMatchObject({ name: 'this', peak: { f32: two.peak }, bandwidth: 9e11, units: 2 });
  expect(record.caches).toEqual([
    { name: 'caches', bytes: measured.cacheBytes, bandwidth: measured.cacheBandwidth },
  ]);
  expect(parseDevice(JSON.parse(JSON.stringify(record)))).toEqual(record);
});

test('short arrays lie within the memory, and no others are taken', async () => {
  const device = await openWasmDevice({ threads: 1 });
  try {
    for (const arrayFloats of [0, 1000, 2 ** 14 + 1, NaN]) {
      await expect(measureDevice(device, { arrayFloats })).rejects.toThrow(/a multiple of 16384 floats/);
    }
    // What is read outside of it traps.
    expect((await measureDevice(device, { arrayFloats: 2 ** 14 })).cacheBytes).toBe(4 * 2 ** 14);
  } finally {
    await device.dispose();
  }
});
