import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { PbfWriter } from 'pbf';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { openOnnx } from '../../../src/checkpoints/onnx/import-file.ts';
import { importOnnx } from '../../../src/checkpoints/onnx/import.ts';
import { encodeModel } from '../../../src/checkpoints/onnx/model.ts';
import type { OnnxModel, OnnxNode, OnnxNumbers } from '../../../src/checkpoints/onnx/model.ts';
import { WidefieldError } from '../../../src/core/errors.ts';
import { Random } from '../../../src/core/random.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'widefield-test-'));
});
afterAll(() => rm(folder, { recursive: true }));

const CONV: OnnxNode = { name: 'first', operator: 'Conv', inputs: ['x', 'w'], outputs: ['a'] };

function model(nodes: readonly OnnxNode[], changes: Partial<OnnxModel<OnnxNumbers>> = {}): Uint8Array {
  return encodeModel({
    nodes,
    inputs: [{ name: 'x', shape: ['N', 3, 8, 8] }],
    outputs: [{ name: 'y', shape: ['N', 4, 8, 8] }],
    initializers: [
      { name: 'w', shape: [4, 3, 1, 1], values: new Float32Array(12).fill(1) },
      { name: 'k', shape: [4], values: new BigInt64Array([0n, 2n, -1n, 8n]), type: 'int64' },
      { name: 'v', shape: [8], values: new Float32Array(8) },
    ],
    ...changes,
  });
}

/** A node behind the convolution, whose output is [N, 4, 8, 8]. */
function after(
  operator: string,
  inputs: readonly string[] = [],
  attributes: OnnxNode['attributes'] = {},
): Uint8Array {
  return model([CONV, { name: 'second', operator, inputs: ['a', ...inputs], outputs: ['y'], attributes }]);
}

test.each([
  [after('LSTM'), 'The node second (LSTM) has no cost in Widefield.'],
  [after('If'), 'The node second (If) has no cost in Widefield.'],
  [
    after('Reshape', ['k']),
    'The node second (Reshape) has no cost in Widefield: it splits an axis: [1, 4, 8, 8] becomes [1, 2, 16, 8].',
  ],
  [
    after('MatMul', ['a']),
    'The node second (MatMul) has no cost in Widefield: its matrix is computed from the input.',
  ],
  [
    after('Conv', ['w']),
    'The node second (Conv) has no cost in Widefield: its weight [4, 3, 1, 1] does not fit its input.',
  ],
  [after('Add', ['v']), 'it combines [1, 4, 8, 8] with a constant [8]'],
  [after('Clip', []), 'only clipping to 0…6 or below 0 has'],
  [after('Softmax', [], { axis: -1 }), 'only that over channels has'],
  [after('Transpose', [], { perm: [0, 0, 1, 2] }), 'its permutation does not fit its input'],
  [after('Conv', ['nowhere']), 'Nothing computes nowhere in the ONNX file'],
  [model([CONV, { ...CONV, inputs: ['a', 'w'] }]), 'computes a twice'],
  [
    model([
      { operator: 'Relu', inputs: ['b'], outputs: ['y'] },
      { operator: 'Relu', inputs: ['y'], outputs: ['b'] },
    ]),
    'from itself',
  ],
  [model([{ operator: 'Relu', inputs: ['y'], outputs: ['y'] }]), 'from itself'],
  [model([{ operator: 'Identity', inputs: ['w'], outputs: ['y'] }]), 'computes nothing from its input'],
  [model([CONV], { inputs: [] }), 'has 0 inputs'],
  [model([CONV], { inputs: [{ name: 'x', shape: ['N', 'C', 8, 8] }] }), 'with a fixed C'],
  [new Uint8Array(), 'is damaged, or no ONNX model'],
  [new TextEncoder().encode('PK no model at all'), 'is damaged, or no ONNX model'],
])('refused with a sentence that names what is wrong: %#', (bytes, hint) => {
  expect(() => importOnnx(bytes)).toThrow(WidefieldError);
  expect(() => importOnnx(bytes)).toThrow(hint);
});

test('a fixed size is not another, and open ones are what is asked for', () => {
  const relu = { operator: 'Relu', inputs: ['a'], outputs: ['y'] };
  expect(() => importOnnx(model([CONV, relu]), { resolution: 16 })).toThrow('is for 8×8 pixels, not 16×16');
  const open = model([CONV, relu], { inputs: [{ name: 'x', shape: ['N', 3, 'H', 'W'] }] });
  expect(importOnnx(open, { resolution: [16, 24], batch: 3 }).graph.input.shape).toEqual([3, 16, 24, 3]);
});

test('deep networks need no deep call stack', () => {
  const nodes = Array.from({ length: 20_000 }, (_, i) => ({
    operator: 'Relu',
    inputs: [i === 0 ? 'x' : `v${i}`],
    outputs: [i === 19_999 ? 'y' : `v${i + 1}`],
  }));
  expect(importOnnx(model(nodes)).graph.outputs.size).toBe(1);
});

test('damaged files end in an error of ours or in a graph, never in another error', () => {
  const bytes = after('GlobalAveragePool');
  const random = new Random('damage');
  let refused = 0;
  for (let i = 0; i < 2000; i++) {
    const damaged = bytes.slice(
      0,
      i % 3 === 0 ? Math.floor(bytes.length * Math.abs(random.signed(i))) : bytes.length,
    );
    for (let j = 0; j < 1 + (i % 4); j++) {
      const at = Math.floor(damaged.length * Math.abs(random.signed(7 * i + j + 10_000)));
      if (damaged.length > 0) damaged[at] = Math.floor(256 * Math.abs(random.signed(11 * i + j + 90_000)));
    }
    try {
      importOnnx(damaged);
    } catch (error) {
      expect(error).toBeInstanceOf(WidefieldError);
      refused++;
    }
  }
  expect(refused).toBeGreaterThan(1000);
});

/** The model with its weight in another file. */
function external(location: string): Uint8Array {
  const tensor = (_: null, pbf: PbfWriter): void => {
    for (const size of [4, 3, 1, 1]) pbf.writeVarintField(1, size);
    pbf.writeVarintField(2, 1);
    pbf.writeStringField(8, 'w');
    pbf.writeMessage(
      13,
      (text: string, entry) => {
        entry.writeStringField(1, 'location');
        entry.writeStringField(2, text);
      },
      location,
    );
    pbf.writeVarintField(14, 1);
  };
  const graph = new PbfWriter();
  graph.writeMessage(5, tensor, null);
  const plain = model([CONV], { initializers: [], outputs: [{ name: 'a', shape: ['N', 4, 8, 8] }] });
  // The graph is the last field of a model, and messages that are repeated are merged by appending their fields.
  const extra = graph.finish();
  return appendToGraph(plain, extra);
}

function appendToGraph(bytes: Uint8Array, extra: Uint8Array): Uint8Array {
  const tag = bytes.indexOf((7 << 3) | 2);
  let start = tag + 1;
  while ((bytes[start] ?? 0) > 0x7f) start++;
  const head = new PbfWriter();
  head.writeBytesField(7, Uint8Array.from([...bytes.subarray(start + 1), ...extra]));
  return Uint8Array.from([...bytes.subarray(0, tag), ...head.finish()]);
}

test('tensors in files beside the model are read from its own folder alone', async () => {
  const values = Float32Array.from({ length: 12 }, (_, i) => i);
  const secret = await mkdtemp(path.join(tmpdir(), 'widefield-test-'));
  try {
    await writeFile(path.join(folder, 'weights.bin'), new Uint8Array(values.buffer));
    await writeFile(path.join(secret, 'secret.bin'), new Uint8Array(values.buffer));
    await symlink(path.join(secret, 'secret.bin'), path.join(folder, 'link.bin'));
    const read = async (location: string): Promise<Float32Array> => {
      const file = path.join(folder, 'net.onnx');
      await writeFile(file, external(location));
      const { graph, weights } = await openOnnx(file);
      expect(graph.input.shape).toEqual([1, 8, 8, 3]);
      return weights.read('w');
    };
    expect(await read('weights.bin')).toEqual(values);
    const elsewhere = path.join(secret, 'secret.bin');
    for (const location of [path.relative(folder, elsewhere), elsewhere, 'link.bin']) {
      await expect(read(location)).rejects.toThrow('outside of its folder: that is not read');
    }
    await expect(read('missing.bin')).rejects.toThrow('there is no such file');
    await expect(importOnnx(external('weights.bin')).weights.read('w')).rejects.toThrow(
      'open it by its path',
    );
  } finally {
    await rm(secret, { recursive: true });
  }
});
