import { expect, test } from 'vitest';

import type { ModelReport, ModelRow } from '../../src/bench/report.ts';
import { formatModelReport } from '../../src/cli/bench-model-table.ts';
import { BENCH_MACHINE } from '../support/bench-machine.ts';
import { widefield } from '../support/command-line.ts';

const OURS: ModelRow = {
  model: 'slak-tiny',
  shape: '1,224,224,3',
  engine: 'widefield-native',
  device: 'native',
  threads: 2,
  config: 'float32',
  medianMs: 80,
  minMs: 78,
  spreadMs: 1.5,
  runs: 40,
  maxRelError: 2e-6,
  correct: true,
  gflops: 130,
  peakGflops: 230,
  setupMs: 350,
  setup: { planMs: 100, compileMs: 50, weightsMs: 200 },
  bytes: { weights: 150 * 2 ** 20, arena: 12.5 * 2 ** 20 },
  comparedWith: 'onnxruntime-node',
  timingIncludes: 'one run',
};

const PEER: ModelRow = {
  ...OURS,
  engine: 'onnxruntime-node',
  config: 'ONNX opset 20',
  medianMs: 260,
  maxRelError: null,
  comparedWith: null,
  peakGflops: null,
  setupMs: null,
  setup: null,
  bytes: null,
};

const LINE = { calls: 2, milliseconds: 30, share: 0.375, gflops: 184, gbPerSecond: 3.5, ofPeak: 0.8 };

const REPORT: ModelReport = {
  machine: BENCH_MACHINE,
  rows: [OURS, PEER],
  skipped: [{ engine: 'pytorch', reason: 'not installed' }],
  profiles: [
    {
      model: 'slak-tiny',
      shape: '1,224,224,3',
      engine: 'widefield-native',
      runs: 15,
      milliseconds: 80,
      peakGflops: 230,
      kernels: Array.from({ length: 26 }, (_, i) => ({ ...LINE, name: `kernel_${i}` })),
      kinds: [{ ...LINE, name: 'depthwise' }],
      dense: { ...LINE, name: 'dense matrix work' },
    },
  ],
};

test('ratios against each peer, start and memory, and where the time goes', () => {
  const lines = formatModelReport(REPORT).split('\n');
  expect(lines.slice(0, 3)).toMatchInlineSnapshot(`
    [
      "model                  engine            threads  median ms   min  spread  runs  GFLOP/s      error  × onnxruntime-node  configuration",
      "slak-tiny 1,224,224,3  widefield-native        2       80.0  78.0    1.50    40      130       2e-6                3.25  float32",
      "                       onnxruntime-node        2        260  78.0    1.50    40      130  reference                1.00  ONNX opset 20",
    ]
  `);
  expect(lines.slice(4, 10)).toMatchInlineSnapshot(`
    [
      "slak-tiny 1,224,224,3 on widefield-native: 80.0 ms in kernels, medians of 15 runs; multiply-add peak 230 GFLOP/s",
      "kind               calls    ms  share  GFLOP/s  GB/s  of peak",
      "depthwise              2  30.0  37.5%      184  3.50      80%",
      "dense matrix work      2  30.0  37.5%      184  3.50      80%",
      "",
      "kernel     calls    ms  share  GFLOP/s  GB/s  of peak",
    ]
  `);
  const rest = lines.slice(10).join('\n');
  expect(rest).toContain('and 2 kernels more, 60.0 ms');
  expect(rest).toContain('the reference is onnxruntime-node');
  expect(rest).toContain('150 MiB of weights, 12.5 MiB for activations');
  expect(rest).toContain('Not here: pytorch (not installed)');
});

test('a wrong result is marked with its error, and has no ratio', () => {
  const wrong = { ...OURS, correct: false, maxRelError: 0.02 };
  const [, line] = formatModelReport({ ...REPORT, rows: [wrong, PEER] }).split('\n');
  expect(line).toContain('WRONG 2e-2');
  expect(line).not.toContain('3.25');
});

test('without peers there are no ratios, and a lone engine is no reference', () => {
  const alone = { ...OURS, comparedWith: null, maxRelError: null };
  const text = formatModelReport({ ...REPORT, rows: [alone], profiles: [] });
  expect(text).not.toMatch(/×|reference/);
  expect(text).toContain('not compared');
});

test.each([
  [['replknet31b'], 'did you mean replknet-31b?'],
  [['mobilenet-v2,'], 'next to a comma'],
  [['mobilenet-v2', '--batch', '0'], 'from 1 to'],
  [[], 'models'],
])('wrong usage %j: one line, exit code 2', async (args, hint) => {
  const { code, out, err } = await widefield('bench', 'model', ...args);
  expect({ code, out }).toEqual({ code: 2, out: '' });
  expect(err).toContain(hint);
  expect(err.trim().split('\n')).toHaveLength(1);
});

test('prints JSON with a row a network and engine', async () => {
  const args = [
    '--devices',
    'wasm',
    '--peers',
    'none',
    '--resolution',
    '32',
    '--seconds',
    '0.01',
    '--profile',
  ];
  const { code, out, err } = await widefield('bench', 'model', 'mobilenet-v2', ...args, '--json');
  expect({ code, err }).toEqual({ code: 0, err: '' });
  const { rows, profiles } = JSON.parse(out) as ModelReport;
  expect(rows).toEqual([
    {
      model: 'mobilenet-v2',
      shape: '1,32,32,3',
      engine: 'widefield-wasm',
      device: 'wasm',
      threads: expect.any(Number) as number,
      config: expect.stringContaining('float32') as string,
      medianMs: expect.any(Number) as number,
      minMs: expect.any(Number) as number,
      spreadMs: expect.any(Number) as number,
      runs: expect.any(Number) as number,
      maxRelError: null,
      comparedWith: null,
      correct: true,
      gflops: expect.any(Number) as number,
      peakGflops: expect.any(Number) as number,
      setupMs: expect.any(Number) as number,
      setup: {
        planMs: expect.any(Number) as number,
        compileMs: expect.any(Number) as number,
        weightsMs: expect.any(Number) as number,
      },
      bytes: { weights: expect.any(Number) as number, arena: expect.any(Number) as number },
      timingIncludes: expect.stringContaining('model.run') as string,
    },
  ]);
  // Which blocks are fused is the planner's choice.
  const kinds = profiles[0]?.kinds.map(({ name }) => name);
  expect(kinds).toEqual(expect.arrayContaining(['depthwise', 'pointwise', 'conv', 'other']));
});
