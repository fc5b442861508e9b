import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { exportOnnxBytes } from '../../../src/checkpoints/onnx/export.ts';
import { encodeModel } from '../../../src/checkpoints/onnx/model.ts';
import { syntheticWeights } from '../../../src/checkpoints/synthetic.ts';
import { parametersOf, selectOutputs } from '../../../src/graph/graph.ts';
import { findModel } from '../../../src/models/zoo.ts';
import { widefield } from '../../support/command-line.ts';

let folder = '';
let file = '';
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'widefield-test-'));
  file = path.join(folder, 'own.onnx');
  const graph = selectOutputs(findModel('convfirst-pico').build({ resolution: 64 }), ['logits']);
  await writeFile(
    file,
    await exportOnnxBytes(graph, syntheticWeights(parametersOf(graph)), { dynamicBatch: false }),
  );
});
afterAll(() => rm(folder, { recursive: true }));

interface Result {
  readonly minLatencyMs: number;
  readonly maxEfficiency: number;
  readonly resolution: readonly number[];
  readonly kernels: readonly unknown[];
}

async function json(...args: readonly string[]): Promise<Result> {
  const { code, out, err } = await widefield('lab', ...args, '--device', 'a5000', '--json');
  expect({ code, err }).toEqual({ code: 0, err: '' });
  return JSON.parse(out) as Result;
}

test.each([[[]], [['--fused']], [['--batch', '4', '--dtype', 'f32']]])(
  'the waterline of an exported network is that of the network: %j',
  async (options) => {
    const own = await json('waterline', file, ...options);
    const known = await json('waterline', 'convfirst-pico', '--resolution', '64', ...options);
    expect(own.resolution).toEqual([64, 64]);
    expect(own.kernels).toHaveLength(known.kernels.length);
    expect(own.minLatencyMs / known.minLatencyMs).toBeCloseTo(1, 4);
    expect(own.maxEfficiency / known.maxEfficiency).toBeCloseTo(1, 4);
  },
);

test('waterline --measure runs it on this machine', async () => {
  const device = path.join(folder, 'this.json');
  await writeFile(
    device,
    JSON.stringify({ name: 'this', peak: { f32: 1e9 }, bandwidth: 1e12, units: 1, measurements: [] }),
  );
  const args = ['waterline', file, '--batch', '1', '--measure', '--device', device, '--json'];
  const { code, out } = await widefield('lab', ...args);
  expect(code).toBe(0);
  const { measured } = JSON.parse(out) as { measured: { measuredMs: number; leastMs: number } };
  expect(measured.measuredMs).toBeGreaterThan(measured.leastMs);
});

test('amdahl and mediant take it too', async () => {
  const own = await json('amdahl', file);
  const known = await json('amdahl', 'convfirst-pico', '--resolution', '64');
  expect(own.minLatencyMs / known.minLatencyMs).toBeCloseTo(1, 4);
  const { code, out } = await widefield('lab', 'mediant', file);
  expect(code).toBe(0);
  expect(out).toContain('own.onnx');
});

test('an operator without a cost is named, and so are files that are not there or of another size', async () => {
  const odd = path.join(folder, 'odd.onnx');
  await writeFile(
    odd,
    encodeModel({
      nodes: [{ name: 'attention', operator: 'MultiHeadAttention', inputs: ['x'], outputs: ['y'] }],
      inputs: [{ name: 'x', shape: ['N', 3, 8, 8] }],
      outputs: [{ name: 'y', shape: ['N', 3, 8, 8] }],
      initializers: [],
    }),
  );
  const cases = [
    [[odd], 'The node attention (MultiHeadAttention) has no cost in Widefield.'],
    [[path.join(folder, 'missing.onnx')], 'there is no such file or folder'],
    [[file, '--resolution', '96'], 'is for 64×64 pixels, not 96×96'],
  ] as const;
  for (const [args, hint] of cases) {
    const { code, out, err } = await widefield('lab', 'waterline', ...args);
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toContain(hint);
    expect(err.trim().split('\n')).toHaveLength(1);
  }
});
