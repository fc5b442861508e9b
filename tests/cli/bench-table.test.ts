import { expect, test } from 'vitest';

import type { BenchReport, OpRow } from '../../src/bench/report.ts';
import { formatReport } from '../../src/cli/bench-table.ts';
import { BENCH_MACHINE } from '../support/bench-machine.ts';

const ROW: OpRow = {
  op: 'depthwise',
  shape: '1,56,56,128',
  kernel: 31,
  engine: 'onnxruntime-node',
  device: 'native',
  threads: 2,
  config: 'Conv',
  medianMs: 8,
  minMs: 7.5,
  spreadMs: 0.25,
  runs: 40,
  maxRelError: 4e-7,
  correct: true,
  gflops: 96.5,
  peakGflops: null,
  setupMs: null,
  timingIncludes: 'one run',
};

const REPORT: BenchReport = {
  machine: BENCH_MACHINE,
  rows: [ROW, { ...ROW, engine: 'widefield-native', medianMs: 0.25, config: 'fft' }],
  skipped: [{ engine: 'pytorch', reason: 'not installed' }],
};

test('the table for people', () => {
  expect(formatReport(REPORT)).toMatchInlineSnapshot(`
    "depthwise 1,56,56,128
    kernel  engine            threads  median ms   min  spread  runs  GFLOP/s  error  speed-up  configuration
        31  onnxruntime-node        2       8.00  7.50   0.250    40     96.5   4e-7     1.00×  Conv
            widefield-native        2      0.250  7.50   0.250    40     96.5   4e-7     32.0×  fft

    Spread is the interquartile range; error is max |y − reference| / max |reference| against float64; GFLOP/s
    count the direct computation. Speed-up is against onnxruntime-node.
    Time includes:
      onnxruntime-node: one run
      widefield-native: one run
    Machine: A processor, 2 cores, 1024 MiB, Linux; Node 20.0.0, Widefield 0.1.0; 2 threads asked for.
      widefield-native: cc, 16 lanes
      onnxruntime-node 1.30.0
    Not here: pytorch (not installed)"
  `);
});

test('without onnxruntime-node there are no ratios', () => {
  expect(formatReport({ ...REPORT, rows: REPORT.rows.slice(1) })).not.toContain('peed-up');
});

test('a wrong result is marked, and has no ratio', () => {
  const wrong = { ...ROW, engine: 'tfjs', medianMs: 0.5, maxRelError: null, correct: false };
  const line = formatReport({ ...REPORT, rows: [ROW, wrong] })
    .split('\n')
    .find((text) => text.includes('tfjs'));
  expect(line).toContain('WRONG');
  expect(line).not.toContain('×');
});
