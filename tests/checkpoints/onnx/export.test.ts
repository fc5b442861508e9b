import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { memorySink } from '../../../src/checkpoints/byte-sink.ts';
import { openFileSink } from '../../../src/checkpoints/file-sink.ts';
import { exportOnnx, exportOnnxBytes } from '../../../src/checkpoints/onnx/export.ts';
import { GraphBuilder } from '../../../src/graph/builder.ts';
import { optimize } from '../../../src/graph/passes/index.ts';
import { graphCases, graphOf, randomGraph, smallNetwork } from '../../support/graph-cases.ts';
import { memoryWeights, randomValues } from '../../support/onnx.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'widefield-onnx-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const graph = smallNetwork();
const weights = memoryWeights(randomValues(graph));

test('a file, a blob and bytes are the same, and progress counts all of them', async () => {
  const bytes = await exportOnnxBytes(graph, weights);
  const path = join(folder, 'model.onnx');
  const progress: number[] = [];
  await exportOnnx(graph, weights, await openFileSink(path), {
    onProgress: ({ written, total }) => {
      expect(total).toBe(bytes.length);
      progress.push(written);
    },
  });
  expect(Buffer.compare(await readFile(path), bytes)).toBe(0);
  expect(progress.at(-1)).toBe(bytes.length);
  expect(progress).toEqual([...progress].sort((a, b) => a - b));
  const sink = memorySink();
  await exportOnnx(graph, weights, sink);
  expect(Buffer.compare(new Uint8Array(await sink.blob().arrayBuffer()), bytes)).toBe(0);
});

test('ONNX Runtime has nothing to warn of', async () => {
  const models = join(folder, 'quiet');
  await mkdir(models);
  const graphs = [
    graph,
    optimize(randomGraph(1)),
    ...Object.values(graphCases).map((build) => graphOf(build)),
  ];
  for (const [i, one] of graphs.entries()) {
    const values = memoryWeights(randomValues(one));
    for (const opset of [17, 20]) {
      const path = join(models, `${i}-${opset}.onnx`);
      await writeFile(path, await exportOnnxBytes(one, values, { opset }));
    }
  }
  const paths = (await readdir(models)).map((name) => join(models, name));
  const script = `
      const { InferenceSession } = require('onnxruntime-node');
      const load = async () => { for (const path of process.argv.slice(1)) await InferenceSession.create(path); };
      load().then(() => console.log('loaded'));`;
  const { stdout, stderr } = await promisify(execFile)(process.execPath, ['-e', script, ...paths]);
  expect({ stdout, stderr }).toEqual({ stdout: 'loaded\n', stderr: '' });
});

test('failures leave nothing behind: a weight of a wrong length, a cancelled export', async () => {
  const empty = join(folder, 'empty');
  await mkdir(empty);
  const wrong = { read: () => Promise.resolve(new Float32Array(1)) };
  await expect(exportOnnx(graph, wrong, await openFileSink(join(empty, 'a.onnx')))).rejects.toThrow(
    'stem.weight must have the 384 values of [8, 3, 4, 4], got 1.',
  );
  const controller = new AbortController();
  const cancelled = exportOnnx(graph, weights, await openFileSink(join(empty, 'b.onnx')), {
    signal: controller.signal,
    onProgress: () => controller.abort(),
  });
  await expect(cancelled).rejects.toMatchObject({ code: 'aborted' });
  expect(await readdir(empty)).toEqual([]);
});

test('paths that cannot be written and opsets that cannot be exported are named', async () => {
  await expect(openFileSink(join(folder, 'no', 'such', 'folder.onnx'))).rejects.toMatchObject({
    code: 'io',
  });
  await expect(exportOnnxBytes(graph, weights, { opset: 16 })).rejects.toThrow('from 17 to 22, got 16');
});

test('models over 2 GB are refused before a weight is read', async () => {
  const b = new GraphBuilder('huge');
  b.output('y', b.linear(b.input([1, 1, 1, 32768]), 'l', 32768));
  const read = () => Promise.reject(new Error('read'));
  await expect(exportOnnxBytes(b.build(), { read })).rejects.toThrow('4.3 GB');
});
