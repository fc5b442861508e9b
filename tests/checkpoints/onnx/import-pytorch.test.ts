import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { importOnnx } from '../../../src/checkpoints/onnx/import.ts';
import { nodesOf } from '../../../src/graph/graph.ts';
import { kernelCosts } from '../../../src/lab/costs.ts';
import { openDevice } from '../../../src/runtime/open.ts';
import { createSession } from '../../../src/runtime/session.ts';

const SCRIPT = path.join(import.meta.dirname, '../../support/pytorch-networks.py');
const INTERPRETERS = ['python3', '/usr/bin/python3'];

let folder = '';
let absent = '';
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'widefield-test-'));
  absent = await exportAll(folder);
}, 120_000);
afterAll(() => rm(folder, { recursive: true }));

/** Why there is no PyTorch; empty if there is. */
async function exportAll(to: string): Promise<string> {
  const reasons: string[] = [];
  for (const python of INTERPRETERS) {
    try {
      await promisify(execFile)(python, ['-c', 'import torch']);
    } catch (error) {
      reasons.push(
        `${python}: ${error instanceof Error ? (error.message.trim().split('\n').at(-1) ?? '') : ''}`,
      );
      continue;
    }
    await promisify(execFile)(python, [SCRIPT, to]);
    return '';
  }
  return reasons.join('; ');
}

/** MACs by hand, and how often ops of ours occur. */
const NETWORKS = {
  classic: {
    macs: 18 * 18 * 8 * 3 * 25 + 9 * 9 * 8 * 4 * 9 + 4 * 4 * 8 * 20 + 20 * 10,
    ops: { conv: 3, linear: 1, pool: 2, softmax: 1 },
  },
  efficient: { macs: undefined, ops: { 'channel-scale': 2, 'global-pool': 3 } },
  convnext: { macs: undefined, ops: { 'layer-norm': 4, 'layer-scale': 2, 'global-pool': 1, linear: 5 } },
  pyramid: { macs: undefined, ops: { conv: 3, resize: 1, concat: 1, 'batch-norm': 1 } },
} as const;

describe.each(Object.entries(NETWORKS))('%s as PyTorch exports it', (name, { macs, ops }) => {
  test.for(['13-fixed', '13-dynamic', '17-fixed', '17-dynamic'])(
    '%s: the same outputs',
    async (form, context) => {
      if (absent !== '') return context.skip(`no PyTorch: ${absent}`);
      const { graph, weights } = importOnnx(await readFile(path.join(folder, `${name}-${form}.onnx`)));
      for (const [type, count] of Object.entries(ops)) {
        expect([type, nodesOf(graph).filter(({ op }) => op.type === type).length]).toEqual([type, count]);
      }
      // PyTorch stores equal tensors once; here they are parameters of their modules again.
      const names = kernelCosts(graph).map((kernel) => kernel.name);
      expect(new Set(names).size).toBe(names.length);
      const costs = kernelCosts(graph);
      if (macs !== undefined) expect(costs.reduce((sum, kernel) => sum + kernel.ops, 0)).toBe(2 * macs);
      const input = await floats(`${name}.input`);
      const wanted = await floats(`${name}.output`);
      await using device = await openDevice('wasm', { threads: 1 });
      await using session = await createSession(device, graph, weights);
      const [, height, width] = graph.input.shape;
      const outputs = await session.run(transpose(input, 3, height * width));
      const [[output, found] = ['', new Float32Array()]] = outputs;
      const channels = session.outputShapes.get(output)?.[3] ?? 1;
      const expected = transpose(wanted, channels, wanted.length / channels);
      const scale = Math.max(...expected.map(Math.abs));
      expect(found).toHaveLength(expected.length);
      expect(
        Math.max(...expected.map((value, i) => Math.abs(value - (found[i] ?? NaN)))) / scale,
      ).toBeLessThan(1e-5);
    },
  );
});

async function floats(file: string): Promise<Float32Array> {
  return new Float32Array(Uint8Array.from(await readFile(path.join(folder, file))).buffer);
}

/** [C, P] → [P, C]. */
function transpose(values: Float32Array, channels: number, pixels: number): Float32Array {
  return values.map((_, i) => values[(i % channels) * pixels + Math.floor(i / channels)] ?? NaN);
}
