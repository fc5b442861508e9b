import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';

import { amdahl, amdahlByKind } from '../../src/lab/amdahl.ts';
import { kernelCosts } from '../../src/lab/costs.ts';
import { findDevice } from '../../src/lab/devices.ts';
import type { DeviceRecord } from '../../src/lab/devices.ts';
import { efficiencyAt, mediantCurve } from '../../src/lab/mediant.ts';
import { maxEfficiencies } from '../../src/lab/published.ts';
import { movingSeconds, waterline } from '../../src/lab/waterline.ts';
import { buildModel } from '../../src/models/zoo.ts';

const a5000 = findDevice('a5000');

test.each(maxEfficiencies.rows)(
  '$model, fused $fused: at most $percent%',
  ({ model, resolution, fused, percent }) => {
    const graph = buildModel(model, { batch: 128, resolution });
    const line = waterline(kernelCosts(graph, { fused }), a5000);
    expect(Math.abs(100 * line.maxEfficiency - percent)).toBeLessThan(1);
  },
);

test('ResNet-101 on the A5000, kernel by kernel', () => {
  const line = waterline(kernelCosts(buildModel('resnet-101', { batch: 128 })), a5000);
  expect(line.ops / 2 / 128 / 1e9).toBeCloseTo(7.8, 2);
  expect(line.opByte).toBeCloseTo(159.74, 2);
  const sum = line.kernels.reduce((total, { timeUs }) => total + timeUs, 0);
  expect(line.minLatencyMs).toBeCloseTo(sum / 1e3, 9);
  // 224²·3 in, 112²·64 out, 7·7·3·64 weights and 64 biases; memory-bound.
  const bytes = 2 * (128 * (224 ** 2 * 3 + 112 ** 2 * 64) + 49 * 3 * 64 + 64);
  expect(line.kernels[0]).toMatchObject({ name: 'conv1', kind: 'conv', bytes, underwater: true });
  expect(line.kernels[0]?.timeUs).toBeCloseTo((1e6 * bytes) / 480e9, 9);
});

const kernelsArbitrary = fc.array(
  fc.record({
    name: fc.constant('kernel'),
    kind: fc.constantFrom('conv', 'depthwise', 'pool'),
    ops: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 1e9 })),
    bytes: fc.integer({ min: 1, max: 1e8 }),
  }),
  { minLength: 1, maxLength: 20 },
);
const deviceArbitrary: fc.Arbitrary<DeviceRecord> = fc
  .record({ rate: fc.integer({ min: 1, max: 1e6 }), bandwidth: fc.integer({ min: 1, max: 1e4 }) })
  .map(({ rate, bandwidth }) => ({
    name: 'x',
    title: 'x',
    type: 'gpu',
    peak: { f16: 1e9 * rate },
    bandwidth: 1e9 * bandwidth,
    sources: {},
  }));
const factor = fc.double({ min: 1, max: 10, noNaN: true });
const EPSILON = 1e-9;

describe('any sequence of kernels on any device', () => {
  it('is never slower with more bandwidth, or a higher rate', () => {
    fc.assert(
      fc.property(kernelsArbitrary, deviceArbitrary, factor, (kernels, device, times) => {
        const before = waterline(kernels, device).minLatencyMs;
        const wider = { ...device, bandwidth: times * device.bandwidth };
        const faster = { ...device, peak: { f16: times * (device.peak.f16 ?? 0) } };
        expect(waterline(kernels, wider).minLatencyMs).toBeLessThanOrEqual(before * (1 + EPSILON));
        expect(waterline(kernels, faster).minLatencyMs).toBeLessThanOrEqual(before * (1 + EPSILON));
      }),
    );
  });

  it('takes at least its operations at the peak rate, and its bytes at full bandwidth', () => {
    fc.assert(
      fc.property(kernelsArbitrary, deviceArbitrary, (kernels, device) => {
        const line = waterline(kernels, device);
        const seconds = (line.minLatencyMs / 1e3) * (1 + EPSILON);
        expect(seconds).toBeGreaterThanOrEqual(line.ops / (device.peak.f16 ?? 0));
        expect(seconds).toBeGreaterThanOrEqual(line.bytes / device.bandwidth);
        expect(line.maxEfficiency).toBeLessThanOrEqual(1 + EPSILON);
      }),
    );
  });

  it('has one roofline above its waterline, which agrees with the device', () => {
    fc.assert(
      fc.property(kernelsArbitrary, deviceArbitrary, (kernels, device) => {
        fc.pre(kernels.some(({ ops }) => ops > 0));
        const line = waterline(kernels, device);
        const at = efficiencyAt(kernels, line.opByte);
        expect(at.waterline).toBeCloseTo(line.maxEfficiency, 9);
        expect(at.mediant).toBeGreaterThanOrEqual(at.waterline - EPSILON);
      }),
    );
  });

  it("gains as much by a step of Amdahl as it takes less time without the kernel's bytes", () => {
    fc.assert(
      fc.property(kernelsArbitrary, deviceArbitrary, (kernels, device) => {
        fc.pre(kernels.some(({ ops }) => ops > 0));
        const named = kernels.map((kernel, i) => ({ ...kernel, name: String(i) }));
        const line = waterline(named, device);
        for (const step of amdahl(line)) {
          const freed = named.map((kernel) => (kernel.name === step.name ? { ...kernel, bytes: 0 } : kernel));
          const after = waterline(freed, device).minLatencyMs;
          if (after > 0) expect(step.speedup / (line.minLatencyMs / after)).toBeCloseTo(1, 6);
        }
        const speedups = amdahl(line).map(({ speedup }) => speedup);
        expect(speedups).toEqual([...speedups].sort((a, b) => b - a));
      }),
    );
  });
});

test('all kernels of a kind together gain more than each of them', () => {
  const line = waterline(kernelCosts(buildModel('efficientnet-b0', { batch: 128 })), a5000);
  const depthwise = amdahlByKind(line).find(({ kind }) => kind === 'depthwise');
  const best = amdahl(line).find(({ kind }) => kind === 'depthwise');
  expect(depthwise?.count).toBe(16);
  expect(depthwise?.speedup).toBeGreaterThan(best?.speedup ?? Infinity);
});

test('the mediant from 0 to 600: falling curves, far apart for a mixed network', () => {
  const curve = mediantCurve(kernelCosts(buildModel('resnet-101', { batch: 128 })));
  expect(curve.map(({ opByte }) => opByte)).toEqual(Array.from({ length: 61 }, (_, i) => 10 * i));
  expect(curve[0]).toEqual({ opByte: 0, mediant: 1, waterline: 1 });
  curve.slice(1).forEach((point, i) => {
    expect(point.waterline).toBeLessThanOrEqual(curve[i]?.waterline ?? 0);
    expect(point.mediant).toBeLessThanOrEqual(curve[i]?.mediant ?? 0);
  });
  const kernels = [{ name: 'k', kind: 'conv', ops: 1, bytes: 1 }] as const;
  expect(mediantCurve(kernels, { to: 0.3, step: 0.1 })).toHaveLength(4);
  for (const range of [{ step: 0 }, { step: 1e-6 }, { to: -1 }, { to: Infinity }]) {
    expect(() => mediantCurve(kernels, range)).toThrow(/use a step above 0/);
  }
  // At the A5000's 160 one roofline promises everything; the waterline does not.
  expect(curve[16]?.mediant).toBe(1);
  expect(curve[16]?.waterline).toBeLessThan(0.77);
});

describe('caches', () => {
  const device: DeviceRecord = {
    ...{ name: 'x', title: 'x', type: 'cpu', peak: { f32: 1e12 }, bandwidth: 1e9, sources: {} },
    caches: [
      { name: 'L2', bytes: 1e6, bandwidth: 1e11 },
      { name: 'L3', bytes: 9e6, bandwidth: 1e10 },
    ],
  };

  it.each([
    [1e6, 1e6 / 1e11],
    // 2 MB are in L2 or stay there.
    [10e6, 8e6 / 1e10],
    [20e6, 18e6 / 1e10],
    [120e6, 100e6 / 1e9],
  ])('%d bytes take what the level behind those that hold them takes', (bytes, seconds) => {
    expect(movingSeconds(bytes, device, 'caches')).toBeCloseTo(seconds, 12);
    expect(movingSeconds(bytes, device, 'dram')).toBeCloseTo(bytes / 1e9, 12);
  });

  it('count for machines that were measured, and where they are asked for', () => {
    const kernels = kernelCosts(buildModel('mobilenet-v2', { resolution: 64 }), { dtype: 'f32' });
    const plain = waterline(kernels, device);
    const cached = waterline(kernels, device, 'f32', { memory: 'caches' });
    expect([plain.memory, cached.memory]).toEqual(['dram', 'caches']);
    expect(cached.minLatencyMs).toBeLessThan(plain.minLatencyMs);
    expect(cached.opByte).toBe(plain.opByte);
    expect(waterline(kernels, { ...device, measurements: [] })).toEqual(cached);
  });

  it('hold bytes also where nobody measured how fast', () => {
    const kernels = kernelCosts(buildModel('mobilenet-v2', { batch: 128 }));
    const { minLatencyMs } = waterline(kernels, findDevice('a100'), 'f16', { memory: 'caches' });
    expect(minLatencyMs).toBeGreaterThan(0);
    expect(minLatencyMs).toBeLessThan(waterline(kernels, findDevice('a100')).minLatencyMs);
  });
});
