import { describe, expect, it, test } from 'vitest';

import { deviceRecords } from '../../src/lab/device-records.ts';
import {
  defaultDtype,
  deviceNames,
  findDevice,
  opByteRatio,
  parseDevice,
  peakOf,
} from '../../src/lab/devices.ts';

describe('the devices on record', () => {
  it('have the published figures of the A5000 with locked clocks', () => {
    const a5000 = findDevice('a5000');
    expect(peakOf(a5000, 'f16') / 1e12).toBeCloseTo(76.7, 1);
    expect(a5000.bandwidth).toBe(480e9);
    expect(opByteRatio(a5000, 'f16')).toBeCloseTo(159.7, 1);
  });

  it('have the published figures of the RTX 2080 Ti', () => {
    expect(peakOf(findDevice('rtx-2080-ti'), 'f32')).toBe(4352 * 1.545e9 * 2);
  });

  it.each(deviceRecords.map((device) => [device.name, device] as const))(
    '%s is a valid record',
    (_, device) => {
      expect(parseDevice(JSON.parse(JSON.stringify(device)))).toEqual(device);
      const figures = (['peak', 'bandwidth', 'units', 'clock', 'caches'] as const).filter(
        (figure) => device[figure] !== undefined,
      );
      expect(Object.keys(device.sources)).toEqual(expect.arrayContaining(figures));
      for (const name of device.unconfirmed ?? []) {
        const [figure = '', dtype] = name.split('.');
        expect(figures).toContain(figure);
        if (dtype !== undefined) expect(device.peak).toHaveProperty(dtype);
      }
      // A machine computes more than it loads, and wider types are not faster.
      expect(opByteRatio(device, defaultDtype(device))).toBeGreaterThan(5);
      expect(device.peak.f16 ?? Infinity).toBeGreaterThanOrEqual(peakOf(device, 'f32'));
    },
  );

  it('have different names', () => {
    expect(new Set(deviceNames()).size).toBe(deviceRecords.length);
  });
});

test('an unknown device is answered with the nearest names', () => {
  expect(() => findDevice('rtx2080')).toThrow(/no device "rtx2080": did you mean rtx-2080-ti/);
});

test('a data type that a record lacks is answered with those that it has', () => {
  expect(() => peakOf(findDevice('rtx-2080-ti'), 'bf16')).toThrow(/no peak rate for bf16: use f32 or f16/);
});

describe('a custom record', () => {
  const least = { name: 'mine', peak: { f16: 1e13 }, bandwidth: 1e11 };

  it('needs a name, a peak and a bandwidth', () => {
    expect(parseDevice(least)).toEqual({ ...least, title: 'mine', type: 'gpu', sources: {} });
  });

  it.each([
    [
      { ...least, bandwidth: undefined },
      /mine needs a positive number "bandwidth" in bytes a second, which is missing/,
    ],
    [{ ...least, bandwidth: -3 }, /"bandwidth".*got -3/],
    [{ ...least, bandwidth: NaN }, /"bandwidth".*got NaN/],
    [{ ...least, bandwidth: 0 }, /"bandwidth".*got 0/],
    [{ ...least, bandwidth: '480' }, /"bandwidth".*got "480"/],
    [{ ...least, peak: { f16: Infinity } }, /"peak\.f16" in operations a second, got Infinity/],
    [{ ...least, peak: {} }, /at least one "peak" rate/],
    [{ ...least, peak: undefined }, /"peak" of The device record mine must be an object/],
    [{ ...least, peak: { fp16: 1 } }, /peak rate for "fp16": use f64, f32/],
    [{ ...least, name: '' }, /needs a "name"/],
    [{ ...least, clock: -1 }, /"clock" in hertz/],
    [{ ...least, caches: [{ name: 'L2', bytes: -1 }] }, /"caches\.bytes"/],
    [[least], /must be an object/],
    [null, /must be an object/],
  ])('%j is refused in one sentence', (json, message) => {
    expect(() => parseDevice(json)).toThrow(message);
    expect(() => parseDevice(json)).toThrow(expect.objectContaining({ code: 'invalid-argument' }) as Error);
  });
});
