import { readFileSync, readdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import fc from 'fast-check';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { expect, test } from 'vitest';

import { WidefieldError } from '../../src/core/errors.ts';
import { openDataset } from '../../src/data/open.ts';
import { encodedImage, folderOfTest } from '../support/dataset-files.ts';

const FEATURES = {
  image: { _type: 'Image' },
  label: { names: ['cat', 'dog', 'eel'], _type: 'ClassLabel' },
};

/** A file as `datasets` writes it, with row groups of two. */
function parquetFile(
  images: readonly (Uint8Array | undefined)[],
  labels: readonly number[],
  features?: object,
): Uint8Array {
  const buffer = parquetWriteBuffer({
    schema: [
      { name: 'schema', num_children: 2 },
      { name: 'image', num_children: 2, repetition_type: 'OPTIONAL' },
      { name: 'bytes', type: 'BYTE_ARRAY', repetition_type: 'OPTIONAL' },
      { name: 'path', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'OPTIONAL' },
      { name: 'label', type: 'INT64', repetition_type: 'OPTIONAL' },
    ],
    columnData: [
      { name: 'image', data: images.map((bytes, i) => ({ bytes, path: `${i}.jpg` })) },
      { name: 'label', data: labels.map(BigInt) },
    ],
    rowGroupSize: 2,
    ...(features && {
      kvMetadata: [{ key: 'huggingface', value: JSON.stringify({ info: { features } }) }],
    }),
  });
  return new Uint8Array(buffer);
}

test('files of a split, with names of classes', async () => {
  const folder = await folderOfTest();
  const images = await Promise.all([0, 1, 2, 3, 4].map((i) => encodedImage('jpeg', i)));
  const write = (name: string, bytes: Uint8Array) => writeFile(path.join(folder, name), bytes);
  await write('train-00000-of-00002.parquet', parquetFile(images.slice(0, 3), [2, 0, 1], FEATURES));
  await write('train-00001-of-00002.parquet', parquetFile(images.slice(3), [1, 2], FEATURES));
  await write('validation-00000-of-00001.parquet', parquetFile(images.slice(0, 1), [1], FEATURES));
  const dataset = await openDataset(folder, { split: 'train' });
  expect(dataset).toMatchObject({
    length: 5,
    classes: ['cat', 'dog', 'eel'],
  });
  expect(dataset.groups.map(({ start, length }) => [start, length])).toEqual([
    [0, 2],
    [2, 1],
    [3, 2],
  ]);
  for (const index of [4, 0, 2, 1, 3]) {
    const { name, label, image } = await dataset.read(index);
    expect(label).toBe([2, 0, 1, 1, 2][index]);
    expect(path.basename(name)).toBe(
      `train-0000${index < 3 ? 0 : 1}-of-00002.parquet#${index % 3} (${index % 3}.jpg)`,
    );
    expect('bytes' in image && Buffer.compare(image.bytes, images[index] ?? Buffer.alloc(0))).toBe(0);
  }
  await dataset.close();
  const validation = await openDataset(folder, { split: 'val' });
  expect(validation.length).toBe(1);
  await validation.close();
});

test('await using closes a dataset, also under classes that are given', async () => {
  const folder = await folderOfTest();
  const bytes = parquetFile([await encodedImage('jpeg', 0)], [1], FEATURES);
  await writeFile(path.join(folder, 'train.parquet'), bytes);
  const opened = [
    await openDataset(folder),
    await openDataset(folder, { classes: ['dog', 'cat', 'eel'] }),
  ] as const;
  {
    await using own = opened[0];
    await using given = opened[1];
    expect([own.labelOf(0), given.labelOf(0)]).toEqual([1, 0]);
  }
  for (const dataset of opened) await expect(dataset.read(0)).rejects.toMatchObject({ code: 'io' });
});

test('other columns, labels out of range, images without bytes', async () => {
  const folder = await folderOfTest();
  const image = await encodedImage('jpeg', 0);
  const file = path.join(folder, 'a.parquet');
  await writeFile(file, parquetFile([image], [3], FEATURES));
  await expect(openDataset(file)).rejects.toThrow(/Label 3 of sample 0 .* there are 3 classes/);
  await writeFile(file, parquetFile([undefined], [0]));
  const dataset = await openDataset(file);
  expect(dataset.classes).toEqual(['0']);
  await expect(dataset.read(0)).rejects.toThrow(/a\.parquet#0 \(0\.jpg\) has no image bytes/);
  await dataset.close();
  const other = parquetWriteBuffer({ columnData: [{ name: 'text', data: ['a'] }] });
  await writeFile(file, new Uint8Array(other));
  await expect(openDataset(file)).rejects.toThrow(
    /lacks a column of images or one of labels \(it has text\)/,
  );
});

const PYARROW = path.join(import.meta.dirname, '../fixtures/parquet');

test.each(readdirSync(PYARROW).filter((name) => name.endsWith('.parquet')))('%s of pyarrow', async (name) => {
  const dataset = await openDataset(path.join(PYARROW, name));
  expect(dataset).toMatchObject({
    length: 7,
    classes: ['cat', 'dog', 'eel'],
    groups: [
      { start: 0, length: 4 },
      { start: 4, length: 3 },
    ],
  });
  for (let i = 0; i < 7; i++) {
    const sample = await dataset.read(i);
    expect({ ...sample, name: path.basename(sample.name) }).toEqual({
      name: `${name}#${i}${i === 4 ? '' : ` (${i}.png)`}`,
      label: (i * i) % 3,
      image: { bytes: Uint8Array.from({ length: 20 + i }, (_, k) => (i * 31 + k * k) % 251) },
    });
  }
  await dataset.close();
});

test.each(['v1-snappy', 'v1-gzip', 'v1-zstd', 'v2-delta'])(
  'whatever bytes of %s change, there is one clear error or a dataset',
  async (name) => {
    const folder = await folderOfTest();
    const file = path.join(folder, 'fuzz.parquet');
    const whole = new Uint8Array(readFileSync(path.join(PYARROW, `${name}.parquet`)));
    const changes = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(changes, fc.boolean(), fc.nat(whole.length), async (edits, cut, start) => {
        const bytes = whole.slice(cut ? start : 0);
        for (const [at, value] of edits) if (at < bytes.length) bytes[at] = value;
        await writeFile(file, bytes);
        try {
          const dataset = await openDataset(file);
          try {
            for (let i = 0; i < Math.min(dataset.length, 8); i++) await dataset.read(i);
          } finally {
            await dataset.close();
          }
        } catch (error) {
          expect(error).toBeInstanceOf(WidefieldError);
        }
      }),
      { numRuns: 200 },
    );
  },
);

/** Thrift's compact protocol: integers, and fields by number, type and bytes. */
const I32 = 5;
const I64 = 6;
const BINARY = 8;
const LIST = 9;
const STRUCT = 12;
const varint = (n: number): number[] => (n < 128 ? [n] : [(n % 128) + 128, ...varint(Math.floor(n / 128))]);
const int = (n: number): number[] => varint(2 * n);
const text = (value: string): number[] => [value.length, ...Buffer.from(value)];
const list = (type: number, items: readonly (readonly number[])[]): number[] => [
  0xf0 + type,
  ...varint(items.length),
  ...items.flat(),
];
function struct(...fields: readonly (readonly [id: number, type: number, value: readonly number[]])[]) {
  return [
    ...fields.flatMap(([id, type, value], i) => [(id - (fields[i - 1]?.[0] ?? 0)) * 16 + type, ...value]),
    0,
  ];
}

/** A dictionary page of the label 1, and a data page that repeats it for all rows. */
const DICTIONARY = page(2, [1, 0, 0, 0, 0, 0, 0, 0], [7, 1]);
const repeated = (rows: number): number[] => page(0, [0, ...varint(2 * rows)], [5, rows]);

function page(type: number, body: readonly number[], [field, values]: readonly [number, number]): number[] {
  const own = struct([1, I32, int(values)], [2, I32, int(field === 7 ? 0 : 8)]);
  const header = struct(
    [1, I32, int(type)],
    [2, I32, int(body.length)],
    [3, I32, int(body.length)],
    [field, STRUCT, own],
  );
  return [...header, ...body];
}

/** A file of labels whose row groups all read the same pages. */
function sharedPages(pages: readonly number[], groups: number, rows: number, codec = 0): Uint8Array {
  const leaf = (name: string, type: number): number[] =>
    struct([1, I32, int(type)], [3, I32, int(0)], [4, BINARY, text(name)]);
  const chunk = struct(
    [3, LIST, list(BINARY, [text('label')])],
    [4, I32, int(codec)],
    [7, I64, int(pages.length)],
    [9, I64, int(4)],
  );
  const group = struct(
    [1, LIST, list(STRUCT, [struct([3, STRUCT, chunk])])],
    [2, I64, int(pages.length)],
    [3, I64, int(rows)],
  );
  const schema = [struct([4, BINARY, text('root')], [5, I32, int(2)]), leaf('image', 6), leaf('label', 2)];
  const same = Array.from({ length: groups }, () => group);
  return withFooter(pages, struct([2, LIST, list(STRUCT, schema)], [4, LIST, list(STRUCT, same)]));
}

function withFooter(pages: readonly number[], footer: Iterable<number>): Uint8Array {
  const metadata = Uint8Array.from(footer);
  const length = new Uint8Array(Uint32Array.of(metadata.length).buffer);
  return Buffer.concat([Buffer.from('PAR1'), Uint8Array.from(pages), metadata, length, Buffer.from('PAR1')]);
}

const LZ4_WITHOUT_END = [0, 0, 0, 0, 255, 255, 255, 248, 0];

test.each([
  [
    'the row groups together have more rows than the file bytes',
    sharedPages([...DICTIONARY, ...repeated(100)], 4, 100),
    /a size of 400 is impossible/,
  ],
  [
    'the row groups share their pages',
    sharedPages([...DICTIONARY, ...repeated(2), ...new Array<number>(1000).fill(0)], 20, 2),
    /a size of \d+ is impossible/,
  ],
  [
    'a column has one dictionary after the other',
    sharedPages([...DICTIONARY, ...DICTIONARY, ...repeated(2)], 1, 2),
    /label has two dictionaries/,
  ],
  [
    'compressed pieces have negative lengths',
    sharedPages(page(0, LZ4_WITHOUT_END, [5, 2]), 1, 2, 5),
    /the codec 5 is not read/,
  ],
  [
    'the metadata are millions of empty structs',
    withFooter([], new Uint8Array([0x49, 0xfc, ...varint(2 ** 21), ...new Uint8Array(2 ** 21 + 1)])),
    /its metadata are damaged/,
  ],
])('a small file does not fill the memory, nor take for ever, where %s', async (_, bytes, message) => {
  const file = path.join(await folderOfTest(), 'hostile.parquet');
  await writeFile(file, bytes);
  const error: unknown = await openDataset(file).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: 'invalid-argument' });
  expect(String(error)).toMatch(message);
});

test('the same file with one row group is sound', async () => {
  const file = path.join(await folderOfTest(), 'sound.parquet');
  await writeFile(file, sharedPages([...DICTIONARY, ...repeated(100)], 1, 100));
  const dataset = await openDataset(file);
  expect(dataset).toMatchObject({ length: 100, classes: ['0', '1'] });
  expect(dataset.labelOf(99)).toBe(1);
  await dataset.close();
});

test('labels beyond 32 bits are none', async () => {
  const file = path.join(await folderOfTest(), 'a.parquet');
  await writeFile(file, parquetFile([await encodedImage('jpeg', 0)], [2 ** 32 + 1], FEATURES));
  await expect(openDataset(file)).rejects.toThrow(/Row 0 of .* has no label: labels are whole numbers/);
});

test('classes that are given are looked up by name', async () => {
  const folder = await folderOfTest();
  const file = path.join(folder, 'a.parquet');
  const image = await encodedImage('jpeg', 0);
  await writeFile(file, parquetFile([image, image, image], [0, 1, 2], FEATURES));
  const classes = ['dog', 'cat', 'bee', 'Eel'];
  const dataset = await openDataset(file, { classes });
  expect(dataset.classes).toEqual(classes);
  expect([0, 1, 2].map((i) => dataset.labelOf(i))).toEqual([1, 0, 3]);
  expect((await dataset.read(2)).label).toBe(3);
  await dataset.close();
  await expect(openDataset(file, { classes: ['cat', 'dog'] })).rejects.toThrow(
    /training set does not know: remove eel/,
  );
  await writeFile(file, parquetFile([image, image], [0, 2]));
  const unnamed = await openDataset(file, { classes });
  expect([unnamed.labelOf(0), unnamed.labelOf(1)]).toEqual([0, 2]);
  await unnamed.close();
  await expect(openDataset(file, { classes: ['cat', 'dog'] })).rejects.toThrow(
    /has 3 classes, more than the 2 that are known/,
  );
});

test('control characters of a file do not reach the terminal', async () => {
  const folder = await folderOfTest();
  const file = path.join(folder, 'a.parquet');
  const names = ['cat\u001b[2J', 'dog'];
  await writeFile(
    file,
    parquetFile([await encodedImage('jpeg', 0)], [0], { ...FEATURES, label: { names, _type: 'ClassLabel' } }),
  );
  const dataset = await openDataset(file);
  expect(dataset.classes).toEqual(['cat\ufffd[2J', 'dog']);
  await dataset.close();
  const other = parquetWriteBuffer({ columnData: [{ name: 'te\u001bxt', data: ['a'] }] });
  await writeFile(file, new Uint8Array(other));
  await expect(openDataset(file)).rejects.toThrow('(it has te\ufffdxt)');
});
