import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { PbfWriter } from 'pbf';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { openOnnx } from '../../../src/checkpoints/onnx/import-file.ts';
import { importOnnx } from '../../../src/checkpoints/onnx/import.ts';
import type { ImportedOnnx } from '../../../src/checkpoints/onnx/import.ts';
import { encodeModel } from '../../../src/checkpoints/onnx/model.ts';
import type { OnnxModel, OnnxNode, OnnxNumbers } from '../../../src/checkpoints/onnx/model.ts';
import { WidefieldError } from '../../../src/core/errors.ts';
import { Random } from '../../../src/core/random.ts';
import { nodesOf } from '../../../src/graph/graph.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'widefield-test-'));
});
afterAll(() => rm(folder, { recursive: true }));

const CONV: OnnxNode = { name: 'first', operator: 'Conv', inputs: ['x', 'w'], outputs: ['a'] };

/** A border of one pixel around a map. */
const AROUND = [0n, 0n, 1n, 1n, 0n, 0n, 1n, 1n];

function triangle(_: unknown, i: number): number {
  return ([1, 2, 1, 2, 4, 2, 1, 2, 1][i % 9] ?? 0) / 16;
}

function model(nodes: readonly OnnxNode[], changes: Partial<OnnxModel<OnnxNumbers>> = {}): Uint8Array {
  return encodeModel({
    nodes,
    inputs: [{ name: 'x', shape: ['N', 3, 8, 8] }],
    outputs: [{ name: 'y', shape: ['N', 4, 8, 8] }],
    initializers: [
      { name: 'w', shape: [4, 3, 1, 1], values: new Float32Array(12).fill(1) },
      { name: 'k', shape: [4], values: new BigInt64Array([0n, 2n, -1n, 8n]), type: 'int64' },
      { name: 'v', shape: [8], values: new Float32Array(8) },
      { name: 'one', shape: [1], values: new BigInt64Array([1n]), type: 'int64' },
      { name: 'negative', shape: [1], values: new BigInt64Array([-1n]), type: 'int64' },
      { name: 'half', shape: [1], values: new Float32Array([1.5]) },
      { name: 'uneven', shape: [4], values: new Float32Array([1, 1, 1.3, 1.3]) },
      { name: 'first', shape: [4], values: new Float32Array([1, 1, 0.125, 0.125]) },
      { name: 'empty', shape: [4096, 4096, 4096, 0], values: new Float32Array() },
      { name: 'wide', shape: [4], values: new BigInt64Array([1n, 4n, 8n, 8n]), type: 'int64' },
      { name: 'column', shape: [3, 1], values: new BigInt64Array([1n, 4n, 8n]), type: 'int64' },
      { name: 'row', shape: [1, 3], values: new BigInt64Array([1n, 4n, 8n]), type: 'int64' },
      { name: 'around', shape: [8], values: BigInt64Array.from(AROUND), type: 'int64' },
      { name: 'less', shape: [8], values: BigInt64Array.from(AROUND, (size) => -size), type: 'int64' },
      { name: 'blur', shape: [4, 1, 3, 3], values: Float32Array.from({ length: 36 }, triangle) },
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

/** Borders around that output, and a convolution on them. */
function padded(pads: string, mode: string, attributes: OnnxNode['attributes'] = {}): Uint8Array {
  return model([
    CONV,
    { operator: 'Pad', inputs: ['a', pads], outputs: ['b'], attributes: { mode } },
    {
      ...{ name: 'second', operator: 'Conv', inputs: ['b', 'blur'], outputs: ['y'] },
      attributes: { group: 4, strides: [2, 2], ...attributes },
    },
  ]);
}

/** A reshape to what a node computes from constants. */
function shaped(operator: string, inputs: readonly string[], attributes: OnnxNode['attributes'] = {}) {
  return model([
    CONV,
    { name: 'shape', operator, inputs, outputs: ['s'], attributes },
    { name: 'second', operator: 'Reshape', inputs: ['a', 's'], outputs: ['y'] },
  ]);
}

/** A product of a pooled map that is expanded and something else. */
function expanded(other: string): Uint8Array {
  return model([
    CONV,
    { operator: 'GlobalAveragePool', inputs: ['a'], outputs: ['g'] },
    { operator: 'Expand', inputs: ['g', 'wide'], outputs: ['e'] },
    { name: 'second', operator: 'Mul', inputs: [other, 'e'], outputs: ['y'] },
  ]);
}

test.each([
  [padded('around', 'edge'), 'only borders of one pixel that are reflected have'],
  [padded('around', 'reflect', { dilations: [2, 2] }), '(Pad) has no cost'],
  [padded('around', 'reflect', { auto_pad: 'SAME_UPPER' }), '(Pad) has no cost'],
  [padded('less', 'constant'), '(Pad) has no cost'],
  [
    model([
      { operator: 'Pad', inputs: ['y', 'around'], outputs: ['b'], attributes: { mode: 'reflect' } },
      { operator: 'Conv', inputs: ['b', 'blur'], outputs: ['y'], attributes: { group: 4 } },
    ]),
    'from itself',
  ],
  [after('Resize', ['', 'uneven'], { mode: 'linear' }), 'its scales give no whole pixels'],
  [
    after('Resize', ['', 'first'], {
      ...{ mode: 'linear', coordinate_transformation_mode: 'pytorch_half_pixel' },
    }),
    'it takes the first pixel, not the middle',
  ],
  [after('Cast', [], { to: 7 }), 'it rounds'],
  [after('Cast', [], { to: 9 }), 'it rounds'],
  [after('Dropout', ['', 'one']), 'it is in training mode'],
  [after('Clip', ['', 'a']), 'its limits are computed from the input'],
  [expanded('g'), 'an input is expanded to [1, 4, 8, 8]'],
  [after('constructor'), 'The node second (constructor) has no cost in Widefield.'],
  [after('__proto__'), 'The node second (__proto__) has no cost in Widefield.'],
  [shaped('toString', ['wide']), '(toString) has no cost'],
  [shaped('ConstantOfShape', ['negative']), '(ConstantOfShape) has no cost'],
  [shaped('ConstantOfShape', ['half']), '(ConstantOfShape) has no cost'],
  [shaped('Concat', ['column', 'row'], { axis: 0 }), '(Concat) has no cost'],
  [
    shaped('Concat', new Array<string>(100_000).fill('k'), { axis: 0 }),
    'The node shape (Concat) has no cost in Widefield: it computes with weights',
  ],
  [shaped('Add', ['column', 'row']), '(Add) has no cost'],
  [shaped('Slice', ['empty', 'one', 'one']), 'a shape that cannot be told'],
  [
    after('Relu', [], Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`a${i}`, i]))),
    'more than 64 parts of a kind',
  ],
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
  const high = model([CONV, relu], { inputs: [{ name: 'x', shape: ['N', 3, 8, 'W'] }] });
  expect(() => importOnnx(high, { resolution: 16 })).toThrow('is for 8×any pixels, not 16×16');
});

test.each([
  [{ batch: 0 }, 'whole numbers from 1 on, got 0, 8 and 8'],
  [{ batch: 1.5 }, 'whole numbers from 1 on, got 1.5, 8 and 8'],
  [{ batch: 1e12 }, 'is too large'],
  [{ resolution: 0.5 }, 'whole numbers from 1 on, got 1, 0.5 and 0.5'],
  [{ resolution: [8, -8] as const }, 'whole numbers from 1 on, got 1, 8 and -8'],
])('sizes that no image has are refused: %j', (options, hint) => {
  const bytes = model([CONV, { operator: 'Relu', inputs: ['a'], outputs: ['y'] }], {
    inputs: [{ name: 'x', shape: ['N', 3, 'H', 'W'] }],
  });
  expect(() => importOnnx(bytes, { resolution: 8, ...options })).toThrow(hint);
});

test.each([
  ['reflected borders of a blur', padded('around', 'reflect')],
  ['zeros around a convolution', padded('around', 'constant')],
  ['an expanded factor', expanded('a')],
  ['a cast to another precision', after('Cast', [], { to: 10 })],
  ['dropout that does nothing', after('Dropout', [])],
  ['sums of numbers and a shape', shaped('Mul', ['one', 'wide'])],
])('what stands beside the refused cases is imported: %s', (_, bytes) => {
  expect(importOnnx(bytes).graph.outputs.size).toBe(1);
});

test('scales of a resize are multiplied in float32, as runtimes do', () => {
  for (const size of [7, 11, 13, 29]) {
    const scales = { name: 's', shape: [4], values: new Float32Array([1, 1, size / 3, size / 3]) };
    const bytes = model(
      [{ operator: 'Resize', inputs: ['x', '', 's'], outputs: ['y'], attributes: { mode: 'linear' } }],
      { inputs: [{ name: 'x', shape: ['N', 3, 3, 3] }], initializers: [scales] },
    );
    expect(importOnnx(bytes).graph.outputs.get('y')?.shape).toEqual([1, size, size, 3]);
  }
});

test('deep networks need no deep call stack', () => {
  const nodes = Array.from({ length: 20_000 }, (_, i) => ({
    operator: 'Relu',
    inputs: [i === 0 ? 'x' : `v${i}`],
    outputs: [i === 19_999 ? 'y' : `v${i + 1}`],
  }));
  expect(importOnnx(model(nodes)).graph.outputs.size).toBe(1);
});

test('borders may be computed in any number of steps', () => {
  const steps = Array.from({ length: 20_000 }, (_, i) => ({
    operator: 'Neg',
    inputs: [i === 0 ? 'around' : `n${i}`],
    outputs: [`n${i + 1}`],
  }));
  const convolution = { operator: 'Conv', inputs: ['b', 'blur'], outputs: ['y'], attributes: { group: 4 } };
  const pad = { operator: 'Pad', inputs: ['a', 'n20000'], outputs: ['b'] };
  const { graph } = importOnnx(model([CONV, ...steps, pad, convolution]));
  expect([...graph.outputs.values()].map(({ shape }) => shape)).toEqual([[1, 8, 8, 4]]);
});

/** Convolutions whose results are added, of one weight [4, 4, 3, 3] each. */
function sumOf(weights: readonly string[], nodes: readonly OnnxNode[]): Uint8Array {
  const values = Float32Array.from({ length: 4 * 4 * 9 }, (_, i) => i);
  const convolutions = weights.map((weight, i) => ({
    ...{ operator: 'Conv', inputs: ['x', weight], outputs: [`c${i}`] },
    attributes: { pads: [1, 1, 1, 1] },
  }));
  const sums = weights.map((_, i) => ({
    ...{ operator: 'Add', inputs: [i === 0 ? 'x' : `s${i}`, `c${i}`] },
    outputs: [i === weights.length - 1 ? 'y' : `s${i + 1}`],
  }));
  return model([...nodes, ...convolutions, ...sums], {
    inputs: [{ name: 'x', shape: ['N', 4, 8, 8] }],
    initializers: [
      { name: 'W', shape: [4, 4, 3, 3], values },
      { name: 'flat', shape: [2], values: new BigInt64Array([16n, 9n]), type: 'int64' },
      { name: 'full', shape: [4], values: new BigInt64Array([4n, 4n, 3n, 3n]), type: 'int64' },
    ],
  });
}

function weightsOf({ graph, weights }: ImportedOnnx): Promise<Float32Array[]> {
  const convolutions = nodesOf(graph).filter(({ op }) => op.type === 'conv');
  return Promise.all(convolutions.map(({ parameters }) => weights.read(parameters['weight']?.key ?? '')));
}

function transpose(input: string, output: string, perm: readonly number[]): OnnxNode {
  return { operator: 'Transpose', inputs: [input], outputs: [output], attributes: { perm } };
}

test('transposes of one tensor are told apart, and the same ones are one parameter', async () => {
  const bytes = sumOf(
    ['A', 'B', 'C', 'W'],
    [
      transpose('W', 'A', [1, 0, 2, 3]),
      transpose('W', 'B', [0, 1, 3, 2]),
      transpose('W', 't', [0, 1, 3, 2]),
      transpose('t', 'u', [1, 0, 3, 2]),
      transpose('u', 'C', [0, 1, 2, 3]),
    ],
  );
  const imported = importOnnx(bytes);
  expect(imported.weights.entries.size).toBe(3);
  const at = (order: (o: number, i: number, y: number, x: number) => number): Float32Array =>
    Float32Array.from({ length: 144 }, (_, n) =>
      order(Math.floor(n / 36), Math.floor(n / 9) % 4, Math.floor(n / 3) % 3, n % 3),
    );
  const exchanged = at((o, i, y, x) => 36 * i + 9 * o + 3 * y + x);
  const mirrored = at((o, i, y, x) => 36 * o + 9 * i + 3 * x + y);
  const plain = at((o, i, y, x) => 36 * o + 9 * i + 3 * y + x);
  expect(await weightsOf(imported)).toEqual([exchanged, mirrored, exchanged, plain]);
});

test('a weight may be transposed and reshaped any number of times', async () => {
  const steps = Array.from({ length: 20_000 }, (_, i): OnnxNode => {
    const [input, output] = [i === 0 ? 'W' : `t${i}`, `t${i + 1}`];
    return transpose(input, output, [1, 2, 3, 0]);
  });
  const [flat, crossed, full] = [
    { operator: 'Reshape', inputs: ['t20000', 'flat'], outputs: ['f'] },
    transpose('f', 'g', [1, 0]),
    { operator: 'Reshape', inputs: ['g', 'full'], outputs: ['V'] },
  ];
  const imported = importOnnx(sumOf(['t20000', 'V'], [...steps, flat, crossed, full]));
  const [same, other] = await weightsOf(imported);
  expect(same).toEqual(Float32Array.from({ length: 144 }, (_, i) => i));
  expect(other).toEqual(Float32Array.from({ length: 144 }, (_, i) => 9 * (i % 16) + Math.floor(i / 16)));
});

test('tensors may be called like numbers that are filled in', async () => {
  const wide = { shape: [4, 1, 1], values: new Float32Array(4).fill(5) };
  const vector = { shape: [4], values: new Float32Array(4).fill(7) };
  const bytes = model(
    [
      { operator: 'Relu', inputs: ['x'], outputs: ['a'] },
      { operator: 'Add', inputs: ['a', 'constant.1.4'], outputs: ['b'] },
      transpose('b', 'c', [0, 2, 3, 1]),
      { operator: 'LayerNormalization', inputs: ['c', 'scale', 'constant.0.4'], outputs: ['d'] },
      { operator: 'Add', inputs: ['d', 'more'], outputs: ['y'] },
    ],
    {
      inputs: [{ name: 'x', shape: ['N', 4, 8, 8] }],
      initializers: [
        { name: 'constant.1.4', ...wide },
        { name: 'scale', ...vector },
        { name: 'constant.0.4', ...vector },
        { name: 'more', ...vector },
      ],
    },
  );
  const { graph, weights } = importOnnx(bytes);
  const found = nodesOf(graph).flatMap(({ op, parameters }) =>
    Object.entries(parameters).map(async ([role, { key }]) => [op.type, role, (await weights.read(key))[0]]),
  );
  const norm = (bias: number): unknown[] => [
    ['batch-norm', 'weight', 1],
    ['batch-norm', 'bias', bias],
    ['batch-norm', 'running_mean', 0],
    ['batch-norm', 'running_var', 1],
  ];
  expect(await Promise.all(found)).toEqual([
    ...norm(5),
    ['layer-norm', 'weight', 7],
    ['layer-norm', 'bias', 7],
    ...norm(7),
  ]);
});

test('keys end where the forms of exported tensors begin, however many there are', () => {
  const values = new Float32Array(12);
  const keyOf = (name: string): string[] => [
    ...importOnnx(
      model([{ ...CONV, inputs: ['x', name], outputs: ['y'] }], {
        initializers: [{ name, shape: [4, 3, 1, 1], values }],
      }),
    ).weights.entries.keys(),
  ];
  expect(keyOf('w.T.conv.map')).toEqual(['w']);
  expect(keyOf(`${'.T'.repeat(200_000)}x`)).toEqual([`${'.T'.repeat(200_000)}x`]);
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
function external(location: string, length?: number): Uint8Array {
  const tensor = (_: null, pbf: PbfWriter): void => {
    for (const size of [4, 3, 1, 1]) pbf.writeVarintField(1, size);
    pbf.writeVarintField(2, 1);
    pbf.writeStringField(8, 'w');
    const entries = { location, ...(length !== undefined && { length: String(length) }) };
    for (const [key, value] of Object.entries(entries)) {
      pbf.writeMessage(
        13,
        (text: string, entry) => {
          entry.writeStringField(1, key);
          entry.writeStringField(2, text);
        },
        value,
      );
    }
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

test('a model that is linked from a cache reads tensors beside itself there', async () => {
  const values = Float32Array.from({ length: 12 }, (_, i) => i);
  const cache = await mkdtemp(path.join(tmpdir(), 'widefield-test-'));
  try {
    const [blobs, snapshot] = [path.join(cache, 'blobs'), path.join(cache, 'snapshot')];
    for (const each of [blobs, snapshot]) await mkdir(each);
    await writeFile(path.join(blobs, '1'), external('model.onnx_data'));
    await writeFile(path.join(blobs, '2'), new Uint8Array(values.buffer));
    await symlink('../blobs/1', path.join(snapshot, 'model.onnx'));
    await symlink('../blobs/2', path.join(snapshot, 'model.onnx_data'));
    const { weights } = await openOnnx(path.join(snapshot, 'model.onnx'));
    expect(await weights.read('w')).toEqual(values);
  } finally {
    await rm(cache, { recursive: true });
  }
});

test('a length that is not that of the shape is refused before anything is read', async () => {
  const readExternal = () => Promise.reject(new Error('not to be read'));
  const { weights } = importOnnx(external('weights.bin', 2 ** 40), { readExternal });
  await expect(weights.read('w')).rejects.toThrow('does not have the values of its shape [4, 3, 1, 1]');
});

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
