import { expect, test } from 'vitest';

import { runBlockBench } from '../../src/bench/bench-blocks.ts';
import { GraphBuilder } from '../../src/graph/builder.ts';
import { blockGraph } from '../../src/lab/block-case.ts';
import type { BlockCase } from '../../src/lab/block-case.ts';
import { NO_COMPILER, hasNativeDevice } from '../support/devices.ts';

const OPTIONS = { devices: ['native', 'wasm'], threads: 2, seconds: 0.01, tune: false } as const;

function block(options: Partial<BlockCase>): BlockCase {
  return { kind: 'convfirst', channels: 32, expansion: 3, size: 12, batch: 2, ...options };
}

test('a block fused, layer by layer and in ONNX Runtime: equal outputs, and how they compare', async (context) => {
  // Rows of both devices.
  if (!(await hasNativeDevice())) return context.skip(NO_COMPILER);
  const graph = blockGraph(block({}));
  const { rows, skipped } = await runBlockBench([{ name: 'b', graph, fuse: 'always' }], {
    ...OPTIONS,
    peers: ['onnxruntime-node', 'tfjs'],
  });
  expect(skipped.map(({ engine }) => engine)).toEqual(['tfjs']);
  expect(rows.map(({ engine, form }) => [engine, form])).toEqual([
    ['widefield-native-fused', 'fused'],
    ['widefield-native-layer-wise', 'layer-wise'],
    ['widefield-wasm-fused', 'fused'],
    ['widefield-wasm-layer-wise', 'layer-wise'],
    ['onnxruntime-node', null],
  ]);
  const macs = 2 * 12 * 12 * 32 * (8 * 9 + 2 * 3 * 32);
  for (const row of rows) {
    expect(row).toMatchObject({ model: 'b', shape: '2,12,12,32', correct: true });
    expect(row.runs).toBeGreaterThanOrEqual(20);
    expect(row.gflops).toBeCloseTo((2 * macs) / row.medianMs / 1e6, 6);
  }
  const [fused, layerWise, , , peer] = rows;
  expect(fused?.config).toMatch(/^1 kernel; convfirst-fused /);
  expect(layerWise?.config).toBe('3 kernels');
  expect(fused?.overLayerWise).toBeCloseTo((layerWise?.medianMs ?? NaN) / (fused?.medianMs ?? NaN), 6);
  expect(peer?.ofPeak).toBeCloseTo((peer?.gflops ?? NaN) / (fused?.peakGflops ?? NaN), 6);
  expect(peer?.maxRelError === null && peer.comparedWith === null).toBe(true);
});

test.for([
  ['stride 2', block({ stride: 2, outputs: 48 })],
  ['mbconv', block({ kind: 'mbconv', expansion: 2 })],
  ['mbconv with stride 2', block({ kind: 'mbconv', expansion: 2, stride: 2 })],
  ['a map of one pixel', block({ size: 1 })],
] as const)('outputs agree with ONNX Runtime: %s', async ([name, one]) => {
  const { rows, skipped } = await runBlockBench([{ name, graph: blockGraph(one) }], {
    ...OPTIONS,
    devices: ['wasm'],
    peers: ['onnxruntime-node'],
  });
  expect(skipped).toEqual([]);
  expect(rows.map(({ correct, comparedWith }) => [correct, comparedWith])).toEqual([
    [true, 'onnxruntime-node'],
    [true, 'onnxruntime-node'],
    [true, null],
  ]);
});

test('a block of which nothing was fused says so', async () => {
  const b = new GraphBuilder('alone');
  b.output('y', b.conv(b.input([1, 6, 6, 8]), 'alone', { outputs: 8, kernel: 3 }));
  const graph = b.build();
  const options = { ...OPTIONS, devices: ['wasm'], peers: [] } as const;
  const { rows } = await runBlockBench(
    [
      { name: 'planned', graph },
      { name: 'forced', graph, fuse: 'always' },
    ],
    options,
  );
  expect(rows.every(({ overLayerWise }) => overLayerWise === null)).toBe(true);
  expect(rows.filter(({ form }) => form === 'fused').map(({ config }) => config)).toEqual([
    'not fused: the planner expects no gain, or has no kernel',
    'not fused: there is no kernel for it',
  ]);
});

test('blocks too large for memories are refused before any memory is taken', async () => {
  const graph = blockGraph(block({ channels: 4096, size: 2048, batch: 64 }));
  await expect(
    runBlockBench([{ name: 'huge', graph }], { ...OPTIONS, devices: [], peers: [] }),
  ).rejects.toThrow(/An activation of huge takes \d+ GiB: use a smaller batch/);
});
