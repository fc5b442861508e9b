import { expect, test, vi } from 'vitest';

import { plotReport } from '../../src/bench/plot.ts';
import type { BenchReport, OpRow } from '../../src/bench/report.ts';

function row(shape: string, kernel: number | string, engine: string, medianMs: number): OpRow {
  return {
    op: 'depthwise',
    shape,
    kernel,
    engine,
    device: 'wasm',
    threads: 2,
    config: '',
    medianMs,
    minMs: medianMs,
    spreadMs: 0,
    runs: 20,
    maxRelError: 1e-7,
    correct: true,
    gflops: 1,
    peakGflops: null,
    setupMs: null,
    timingIncludes: '',
  };
}

function report(rows: readonly OpRow[]): BenchReport {
  const machine = {
    cpu: 'A processor',
    cores: 2,
    memoryMiB: 1024,
    os: 'Linux',
    node: '20.0.0',
    widefield: '0.0.0',
    threads: 2,
    devices: {},
    versions: {},
    date: '',
  };
  return { machine, rows, skipped: [] };
}

test('a standalone SVG with a panel for each shape and a label for each line', () => {
  const engines = ['widefield-native', 'onnxruntime-node', 'something-new'];
  const rows = ['1,8,8,16', '1,16,16,16'].flatMap((shape) =>
    [3, 31].flatMap((kernel) =>
      engines.map((engine, i) => row(shape, kernel, engine, (i + 1) * kernel * 0.01)),
    ),
  );
  const svg = plotReport(report(rows));
  expect(svg).toMatch(/^<svg[^>]* xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
  for (const engine of engines) expect(svg.split(`>${engine}<`)).toHaveLength(3);
  expect(svg).toContain('[1, 16, 16, 16]');
  expect(svg).toContain('A processor, 2 threads');
  expect(svg).not.toContain('NaN');
});

test('one point is enough; rectangles are left out', () => {
  const warnings = vi.spyOn(console, 'warn');
  const engines = ['tfjs', 'onnxruntime-node', 'onnxruntime-web', 'pytorch'];
  const points = engines.map((engine, i) => row('1,8,8,16', 3, engine, i + 1));
  const svg = plotReport(report([...points, row('1,8,8,16', '5x3', 'jax-js', 1)]));
  expect(svg).not.toMatch(/jax-js|NaN/);
  expect(warnings).not.toHaveBeenCalled();
  warnings.mockRestore();
});

test('nothing to draw is an error that says what to do', () => {
  expect(() => plotReport(report([row('1,8,8,16', '5x3', 'tfjs', 1)]))).toThrow(/--kernels/);
});
