import { describe, expect, it, test } from 'vitest';

import { findDevice } from '../../src/lab/devices.ts';
import { projectLatency } from '../../src/lab/project.ts';
import { projections } from '../../src/lab/published.ts';

const a5000 = findDevice('a5000');

// Nano and Tiny have widths whose efficiency is not printed and was inferred from these very totals.
describe.each(projections.rows)('$model', ({ model, latencyMs, percentOfPeak, efficiencies }) => {
  it(`takes ${latencyMs} ms at ${percentOfPeak}% of the peak`, () => {
    const projection = projectLatency(model, a5000);
    expect(Math.abs(projection.latencyMs / latencyMs - 1)).toBeLessThan(0.005);
    expect(Math.abs(100 * projection.efficiency - percentOfPeak)).toBeLessThan(0.1);
    const sum = projection.layers.reduce((total, { timeMs }) => total + timeMs, 0);
    expect(projection.latencyMs).toBeCloseTo(sum, 9);
  });

  it.runIf(efficiencies)('has blocks with the published efficiencies, in network order', () => {
    const body = projectLatency(model, a5000).layers.slice(0, -2);
    expect(body.map(({ efficiency }) => 100 * efficiency)).toHaveLength(efficiencies?.length ?? 0);
    body.forEach(({ efficiency }, i) => {
      expect(Math.abs(100 * efficiency - (efficiencies?.[i] ?? 0))).toBeLessThan(0.06);
    });
  });
});

test('operations of Pico, in millions an image, are the published ones', () => {
  // 59.87 is printed for stages.4.0, whose digits must have been swapped: only with 59.78 is the sum the printed one.
  const { layers } = projectLatency('convfirst-pico', a5000);
  const ops = new Map(layers.map(({ name, megaOpsPerImage }) => [name, megaOpsPerImage.toFixed(2)]));
  expect(
    ['stem.conv', 'stages.1.0', 'stages.2.0', 'stages.2.1', 'stages.4.0', 'stages.4.1', 'stages.5.1'].map(
      (name) => ops.get(name),
    ),
  ).toEqual(['14.16', '88.08', '88.08', '119.54', '59.78', '86.05', '21.56']);
  const body = layers.filter(({ name }) => !/^(head|classifier)/.test(name));
  expect(body.reduce((sum, { megaOpsPerImage }) => sum + megaOpsPerImage, 0).toFixed(1)).toBe('1696.9');
});

test('efficiencies may be given, one for each layer before the head', () => {
  const layers = 29;
  const perfect = projectLatency('convfirst-pico', a5000, {
    efficiencies: Array.from({ length: layers }, () => 1),
  });
  expect(perfect.efficiency).toBeCloseTo(1, 12);
  expect(perfect.layers.at(-1)?.source).toBe('estimated');
  expect(() => projectLatency('convfirst-pico', a5000, { efficiencies: [1] })).toThrow(
    /29 layers before its head, but 1/,
  );
});

test.each([47.2, 0, -1, NaN])('an efficiency of %d is refused', (efficiency) => {
  const efficiencies = Array.from({ length: 29 }, () => efficiency);
  expect(() => projectLatency('convfirst-pico', a5000, { efficiencies })).toThrow(
    new RegExp(`above 0 and at most 1, got ${efficiency}: divide percentages by 100`),
  );
});

test('other networks, and maps without published blocks, are refused', () => {
  expect(() => projectLatency('resnet-50', a5000)).toThrow(/ConvFirst networks only.*not resnet-50/);
  expect(() => projectLatency('convfirst-pico', a5000, { resolution: 224 })).toThrow(
    /use a resolution of 256/,
  );
});
