import { describe, expect, test } from 'vitest';

import { blockGraph } from '../../src/lab/block-case.ts';
import { kernelCosts, totalCost } from '../../src/lab/costs.ts';
import { findDevice, peakOf } from '../../src/lab/devices.ts';
import { efficiencyGap, efficiencyOf, publishedGapInputs } from '../../src/lab/efficiency.ts';
import { measuredGap } from '../../src/lab/measured.ts';
import { blockLatencies, imageNetLatencies } from '../../src/lab/published.ts';

test('ideal latency, actual rate, efficiency and gap are one relation', () => {
  const result = efficiencyOf(1e12, 40, 1e14);
  expect(result).toMatchObject({ idealMs: 10, actualMs: 40, actualRate: 2.5e13, efficiency: 0.25 });
  expect(10 ** result.gap).toBeCloseTo(4, 12);
});

const points = efficiencyGap(publishedGapInputs(), findDevice('a5000'));

test.each(imageNetLatencies.rows)('$title runs at $percentOfPeak% of the peak', (row) => {
  const point = points.find(({ title }) => title === row.title);
  // EfficientNets: printed multiply-accumulates, from which the percentage comes, include those of batch norms.
  const tolerance = row.model.startsWith('efficientnet-b') ? 0.05 : 0.012;
  expect(Math.abs((100 * (point?.efficiency ?? 0)) / row.percentOfPeak - 1)).toBeLessThan(tolerance);
  expect(point?.idealMs).toBeLessThan(row.latencyMs);
  expect(point?.accuracy).toBe(row.top1);
});

const report = {
  rows: [
    { engine: 'widefield-native', model: 'resnet-50', shape: '4,224,224,3', medianMs: 100 },
    { engine: 'widefield-native', model: 'resnet-50', shape: '1,64,64,3', medianMs: 3 },
    { engine: 'onnxruntime-node', model: 'resnet-50', shape: '4,224,224,3', medianMs: 200 },
  ],
};

test('a report of measured networks becomes a gap, with published accuracies', () => {
  const { inputs, withoutAccuracy } = measuredGap(report);
  expect(inputs).toEqual([
    { title: 'ResNet-50', model: 'resnet-50', resolution: 224, batch: 4, latencyMs: 100, top1: 76.1 },
  ]);
  expect(withoutAccuracy).toEqual(['resnet-50']);
  const [point] = efficiencyGap(inputs, findDevice('m1'), 'f32');
  expect(point?.efficiency).toBeCloseTo((2 * 4 * 4.089e9) / 0.1 / 2.6e12, 3);
});

test("networks of one's own, and maps that are no squares, are left out by name", () => {
  const rows = [
    { engine: 'widefield-native', model: 'slak-fashion', shape: '1,28,28,1', medianMs: 1 },
    { engine: 'widefield-native', model: 'resnet-50', shape: '1,224,192,3', medianMs: 50 },
    ...report.rows,
  ];
  const { inputs, withoutAccuracy } = measuredGap({ rows });
  expect(inputs).toHaveLength(1);
  expect(withoutAccuracy).toEqual(['slak-fashion', 'resnet-50', 'resnet-50']);
});

test('wrong results are left out by name', () => {
  const [row, ...others] = report.rows;
  const { inputs, wrong } = measuredGap({ rows: [{ ...row, correct: false }, ...others] });
  expect(inputs).toEqual([]);
  expect(wrong).toEqual(['resnet-50']);
  expect(measuredGap(report).wrong).toEqual([]);
});

test.each([
  [report, 'tfjs', /no rows of the engine "tfjs": it has widefield-native, onnxruntime-node/],
  [{ rows: [{ engine: 'x' }] }, undefined, /must be what/],
  [[], undefined, /must be what/],
])('what is no such report is refused', (json, engine, message) => {
  expect(() => measuredGap(json, engine)).toThrow(message);
});

describe('published blocks run at the published share of the peak', () => {
  // Times are printed with two digits behind the point, so short ones are rounded by up to 3%.
  test.each(blockLatencies.rows)('$kind $channels channels, expansion $expansion, $size²', (row) => {
    const { ops } = totalCost(kernelCosts(blockGraph({ ...row, batch: 128 })));
    const { efficiency } = efficiencyOf(row.blocks * ops, row.fusedMs, peakOf(findDevice('a5000'), 'f16'));
    const rounding = 0.005 / row.fusedMs;
    expect(Math.abs((100 * efficiency) / row.percentOfPeak - 1)).toBeLessThan(rounding + 0.002);
  });
});
