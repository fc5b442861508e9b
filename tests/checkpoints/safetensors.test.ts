import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';

import { memorySink } from '../../src/checkpoints/byte-sink.ts';
import { blobSource, bytesSource } from '../../src/checkpoints/byte-source.ts';
import type { DType } from '../../src/checkpoints/dtype.ts';
import { openFileSink } from '../../src/checkpoints/file-sink.ts';
import {
  bfloat16ToFloat32,
  float16ToFloat32,
  float32ToBfloat16,
  float32ToFloat16,
} from '../../src/checkpoints/half.ts';
import { loadCheckpoint } from '../../src/checkpoints/load.ts';
import { openCheckpoint } from '../../src/checkpoints/open.ts';
import { writeSafetensors } from '../../src/checkpoints/safetensors-writer.ts';
import type { TensorToWrite, WriteOptions } from '../../src/checkpoints/safetensors-writer.ts';
import { FOLDER } from './fixtures.ts';

const folder = await mkdtemp(path.join(tmpdir(), 'widefield-safetensors-'));
afterAll(() => rm(folder, { recursive: true }));

/** A safetensors file with this header and so many bytes of data. */
function file(header: unknown, dataBytes: number): Uint8Array {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return new Uint8Array(Buffer.concat([length, text, Buffer.alloc(dataBytes)]));
}

function load(bytes: Uint8Array) {
  return loadCheckpoint(bytesSource(bytes, 'x.safetensors'));
}

const f32 = (shape: number[], begin: number, end: number) => ({
  dtype: 'F32',
  shape,
  data_offsets: [begin, end],
});

describe('a header is refused', () => {
  it.each([
    ['overlapping tensors', { a: f32([2], 0, 8), b: f32([2], 4, 12) }, 12, 'b overlaps another tensor'],
    ['the same bytes twice', { a: f32([2], 0, 8), b: f32([2], 0, 8) }, 8, 'b overlaps another tensor'],
    ['a gap', { a: f32([1], 0, 4), b: f32([1], 8, 12) }, 12, 'there is a gap before b'],
    ['a gap at the start', { a: f32([1], 4, 8) }, 8, 'there is a gap before a'],
    ['bytes left over', { a: f32([1], 0, 4) }, 9, '5 bytes at its end belong to no tensor'],
    ['a tensor beyond the end', { a: f32([4], 0, 16) }, 12, 'a reaches beyond the end of the file'],
    ['a shape that disagrees', { a: f32([3], 0, 8) }, 8, 'a of shape [3] has 8 bytes instead of 12'],
    ['an absurd shape', { a: f32([2 ** 40, 2 ** 40], 0, 8) }, 8, 'has 8 bytes instead of'],
    ['a negative extent', { a: f32([-2], 0, 8) }, 8, 'its entry for a makes no sense'],
    ['an extent that is no integer', { a: f32([1.5], 0, 6) }, 6, 'its entry for a makes no sense'],
    ['offsets the wrong way round', { a: f32([2], 8, 0) }, 8, 'a of shape [2] has -8 bytes'],
    ['an entry without offsets', { a: { dtype: 'F32', shape: [1] } }, 4, 'its entry for a makes no sense'],
    ['a list', '{"a":[1]}', 0, 'its entry for a makes no sense'],
    ['no JSON', '{"a":', 0, 'its header is not JSON'],
    [
      'a key twice',
      `{"a":${JSON.stringify(f32([1], 0, 4))},"a":${JSON.stringify(f32([1], 4, 8))}}`,
      8,
      'a key twice',
    ],
    [
      'a member twice',
      '{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
      4,
      'a key twice',
    ],
    ['a key twice, escaped', '{"a":[],"\\u0061":[]}', 0, 'a key twice'],
  ])('%s', async (_, header, dataBytes, message) => {
    const loading = load(file(header, dataBytes));
    await expect(loading).rejects.toMatchObject({ name: 'WidefieldError', code: 'invalid-argument' });
    await expect(loading).rejects.toThrow(message);
    await expect(loading).rejects.toThrow('x.safetensors is a damaged safetensors file: ');
  });

  it('an absurd size', async () => {
    const bytes = file({ a: f32([1], 0, 4) }, 4);
    const view = new DataView(bytes.buffer);
    for (const size of [bytes.length - 7, 100_000_001, Number.MAX_SAFE_INTEGER]) {
      view.setBigUint64(0, BigInt(size), true);
      await expect(load(bytes)).rejects.toThrow('its header has an absurd size');
    }
    view.setBigUint64(0, 2n ** 64n - 1n, true);
    await expect(load(bytes)).rejects.toThrow('its header has an absurd size');
  });

  it('a number format that we do not read', async () => {
    await expect(
      load(file({ a: { dtype: 'F8_E4M3', shape: [4], data_offsets: [0, 4] } }, 4)),
    ).rejects.toMatchObject({
      code: 'unsupported',
      message: 'x.safetensors has the tensor a in the format F8_E4M3: save it as F32, F16 or BF16.',
    });
  });

  it('but not for names like those that JavaScript uses', async () => {
    const header = `{"__proto__":${JSON.stringify(f32([1], 0, 4))},"constructor":${JSON.stringify(f32([1], 4, 8))}}`;
    const checkpoint = await load(file(header, 8));
    expect([...checkpoint.entries.keys()]).toEqual(['__proto__', 'constructor']);
    expect(await checkpoint.read('__proto__')).toEqual(Float32Array.of(0));
  });
});

interface Tensors {
  readonly tensors: readonly TensorToWrite[];
  readonly values: ReadonlyMap<string, Float32Array>;
}

async function written({ tensors, values }: Tensors, options?: WriteOptions): Promise<Blob> {
  const sink = memorySink();
  await writeSafetensors(
    tensors,
    (key) => Promise.resolve(values.get(key) ?? new Float32Array()),
    sink,
    options,
  );
  return sink.blob();
}

const anyTensors: fc.Arbitrary<Tensors> = fc
  .uniqueArray(
    fc
      .tuple(
        fc.string({ unit: 'grapheme', maxLength: 12 }).filter((key) => key !== '__metadata__'),
        fc.array(fc.nat(4), { maxLength: 4 }),
      )
      .chain(([key, shape]) => {
        const length = shape.reduce((a, b) => a * b, 1);
        // Any bits at all, NaNs and subnormals included.
        return fc
          .uint32Array({ minLength: length, maxLength: length })
          .map((bits) => ({ key, shape, values: new Float32Array(bits.buffer, 0, length) }));
      }),
    { selector: ({ key }) => key, maxLength: 8 },
  )
  .map((list) => ({
    tensors: list.map(({ key, shape }) => ({ key, shape })),
    values: new Map(list.map(({ key, values }) => [key, values])),
  }));

function bitsOf(values: Float32Array): Uint32Array {
  return new Uint32Array(values.slice().buffer);
}

describe('writing', () => {
  it('and reading give the same bits', async () => {
    await fc.assert(
      fc.asyncProperty(anyTensors, async (data) => {
        const checkpoint = await loadCheckpoint(
          blobSource(await written(data, { metadata: { made: 'by "us": {' } })),
        );
        expect(checkpoint.entries.size).toBe(data.tensors.length);
        for (const { key, shape } of data.tensors) {
          expect(checkpoint.entries.get(key)).toMatchObject({ shape, dtype: 'float32' });
          expect(bitsOf(await checkpoint.read(key))).toEqual(
            bitsOf(data.values.get(key) ?? new Float32Array()),
          );
        }
      }),
      { numRuns: 100 },
    );
  });

  it.each([
    ['float16', float32ToFloat16, float16ToFloat32],
    ['bfloat16', float32ToBfloat16, bfloat16ToFloat32],
  ] as const)('as %s rounds', async (dtype, narrow, widen) => {
    await fc.assert(
      fc.asyncProperty(anyTensors, async (data) => {
        const checkpoint = await loadCheckpoint(blobSource(await written(data, { dtype })));
        for (const { key } of data.tensors) {
          const rounded = widen(narrow(data.values.get(key) ?? new Float32Array()));
          expect(bitsOf(await checkpoint.read(key))).toEqual(bitsOf(rounded));
        }
      }),
      { numRuns: 50 },
    );
  });

  it('aligns every tensor to its number size, whatever the mixture', async () => {
    const formats: DType[] = ['bfloat16', 'int64', 'float32', 'float16', 'int64', 'float32'];
    const tensors = formats.map((dtype, i) => ({ key: `t${i}`, shape: [2 * i + 1], dtype }));
    const values = new Map(
      tensors.map(({ key, shape: [length = 0] }) => [key, new Float32Array(length).fill(3)]),
    );
    const blob = await written({ tensors, values });
    const bytes = new Uint8Array(await blob.arrayBuffer());
    const headerLength = Number(new DataView(bytes.buffer).getBigUint64(0, true));
    expect(headerLength % 8).toBe(0);
    const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + headerLength))) as Record<
      string,
      { dtype: string; data_offsets: [number, number] }
    >;
    const sizes = new Map([['I64', 8], ['F32', 4], ['F16', 2], ['BF16', 2]]); // prettier-ignore
    for (const { dtype, data_offsets } of Object.values(header)) {
      expect(data_offsets[0] % (sizes.get(dtype) ?? NaN)).toBe(0);
    }
    expect(await (await loadCheckpoint(blobSource(blob))).read('t1')).toEqual(Float32Array.of(3, 3, 3));
  });

  it('is the file that another writer makes of the same tensors', async () => {
    const name = 'model-00001-of-00002.safetensors';
    const original = await readFile(new URL(name, FOLDER));
    const source = await loadCheckpoint(bytesSource(original, name));
    const tensors = [...source.entries].map(([key, { shape }]) => ({ key, shape }));
    const sink = memorySink();
    await writeSafetensors(tensors, (key) => source.read(key), sink);
    const copy = Buffer.from(await sink.blob().arrayBuffer());
    const dataOf = (bytes: Buffer) => bytes.subarray(8 + Number(bytes.readBigUInt64LE(0)));
    expect(dataOf(copy).equals(dataOf(original))).toBe(true);
  });

  it('to a file replaces what was there in one step and reports progress', async () => {
    const target = path.join(folder, 'out.safetensors');
    await writeFile(target, 'old');
    const progress: number[] = [];
    const data = { key: 'a', shape: [3] };
    await writeSafetensors(
      [data, { ...data, key: 'b' }],
      () => Promise.resolve(Float32Array.of(1, 2, 3)),
      await openFileSink(target),
      {
        onProgress: ({ written, total }) => progress.push(written / total),
      },
    );
    expect(progress).toHaveLength(2);
    expect(progress[1]).toBe(1);
    expect(await readdir(folder)).toEqual(['out.safetensors']);
    const checkpoint = await openCheckpoint(target);
    expect(await checkpoint.read('b')).toEqual(Float32Array.of(1, 2, 3));
    await checkpoint.close();
  });
});

describe('writing that fails leaves nothing', () => {
  const tensors = [
    { key: 'a', shape: [2] },
    { key: 'b', shape: [2] },
  ];
  const two = () => Promise.resolve(new Float32Array(2));

  it.each<[string, readonly TensorToWrite[], (key: string) => Promise<Float32Array>, object]>([
    [
      'a tensor of another size',
      tensors,
      () => Promise.resolve(new Float32Array(3)),
      { message: /cannot have 3 values/ },
    ],
    ['a key twice', [...tensors, ...tensors], two, { message: /each needs a name of its own/ }],
    ['a source that fails', tensors, () => Promise.reject(new Error('disk gone')), { message: 'disk gone' }],
  ])('%s', async (_, list, read, error) => {
    const target = path.join(folder, 'failed.safetensors');
    await writeFile(target, 'old');
    await expect(writeSafetensors(list, read, await openFileSink(target))).rejects.toMatchObject(error);
    expect(await readFile(target, 'utf8')).toBe('old');
    expect((await readdir(folder)).filter((name) => name.startsWith('failed'))).toEqual([
      'failed.safetensors',
    ]);
  });

  it('an abort between tensors', async () => {
    const controller = new AbortController();
    const target = path.join(folder, 'aborted.safetensors');
    const read = (key: string) => {
      if (key === 'b') controller.abort();
      return two();
    };
    const writing = writeSafetensors(tensors, read, await openFileSink(target), {
      signal: controller.signal,
    });
    await expect(writing).rejects.toMatchObject({ code: 'aborted' });
    expect((await readdir(folder)).filter((name) => name.startsWith('aborted'))).toEqual([]);
  });

  it('a folder that is not there', async () => {
    const target = path.join(folder, 'none', 'out.safetensors');
    await expect(openFileSink(target)).rejects.toMatchObject({
      code: 'io',
      message: `${target} cannot be written: there is no such file or folder.`,
    });
  });
});
