import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import fc from 'fast-check';
import { expect, test } from 'vitest';

import type { ByteSource } from '../../src/checkpoints/byte-source.ts';
import { WidefieldError } from '../../src/core/errors.ts';
import { openDataset } from '../../src/data/open.ts';
import { scanTar } from '../../src/data/tar.ts';
import { encodedImage, tarFile, folderOfTest } from '../support/dataset-files.ts';

function memory(bytes: Uint8Array): ByteSource {
  return {
    name: 'memory.tar',
    size: bytes.length,
    read: (offset, length) => Promise.resolve(bytes.slice(offset, offset + length)),
    close: () => Promise.resolve(),
  };
}

async function scan(bytes: Uint8Array) {
  const found = [];
  for await (const entry of scanTar(memory(bytes))) found.push(entry);
  return found;
}

test('shards: samples, groups, strays', async () => {
  const folder = await folderOfTest();
  const [one, two, three] = await Promise.all([1, 2, 3].map((i) => encodedImage('jpeg', i)));
  if (!one || !two || !three) throw new Error('no images');
  await writeFile(
    path.join(folder, 'train-000.tar'),
    tarFile([
      { name: 'a/001.jpg', data: one },
      { name: 'a/001.cls', data: '2\n' },
      { name: 'a/002.cls', data: '1' },
      { name: 'a/002.png', data: two },
      { name: 'a/003.txt', data: 'nothing' },
      { name: 'a/004.jpg', data: two },
    ]),
  );
  await writeFile(
    path.join(folder, 'train-001.tar'),
    tarFile([
      { name: 'b.v1.json', data: '{"label": 0}' },
      { name: 'b.v1.jpg', data: one },
      { name: 'c.json', data: '{"label": 0}' },
      { name: 'c.jpg', data: three },
      { name: 'd.jpg', data: three },
      { name: 'd.cls', data: 'cat' },
    ]),
  );
  const dataset = await openDataset(folder);
  expect(dataset).toMatchObject({
    length: 3,
    classes: ['0', '1', '2'],
    groups: [
      { start: 0, length: 2 },
      { start: 2, length: 1 },
    ],
  });
  expect(dataset.strays?.map(({ name, reason }) => `${path.relative(folder, name)} ${reason}`)).toEqual([
    'train-000.tar:a/003.txt it belongs to no image',
    'train-000.tar:a/004.jpg it has no .cls or .json with a label',
    'train-001.tar:b.v1.json it belongs to no image',
    'train-001.tar:d.jpg d.cls holds no label: a whole number from 0',
  ]);
  expect([0, 1, 2].map((i) => dataset.labelOf(i))).toEqual([2, 1, 0]);
  const { name, image } = await dataset.read(2);
  expect(path.basename(name)).toBe('train-001.tar:c.jpg');
  expect('bytes' in image && Buffer.compare(image.bytes, three)).toBe(0);
});

test('names of classes, and labels that have none', async () => {
  const folder = await folderOfTest();
  const data = await encodedImage('jpeg', 1);
  const shard = path.join(folder, 'shard.tar');
  await writeFile(
    shard,
    tarFile([
      { name: '1.jpg', data },
      { name: '1.cls', data: '1' },
    ]),
  );
  await writeFile(path.join(folder, 'classes.txt'), 'cat\ndog\n');
  expect((await openDataset(shard)).classes).toEqual(['cat', 'dog']);
  const swapped = await openDataset(shard, { classes: ['dog', 'cat'] });
  expect([swapped.labelOf(0), (await swapped.read(0)).label]).toEqual([0, 0]);
  await writeFile(path.join(folder, 'classes.txt'), 'cat\n');
  await expect(openDataset(shard)).rejects.toThrow(/Label 1 of sample 0 .* there are 1 classes/);
  await writeFile(
    shard,
    tarFile([
      { name: '1.jpg', data },
      { name: '1.cls', data: '999999999' },
    ]),
  );
  await writeFile(path.join(folder, 'classes.txt'), '');
  await expect(openDataset(shard)).rejects.toThrow(/Label 999999999|A label is 999999999/);
});

test('long names, and what is no regular file', async () => {
  const long = `${'long/'.repeat(30)}name.jpg`;
  const pax = `path=${long}\n`;
  const record = `${pax.length + 4} ${pax}`;
  const entries = await scan(
    tarFile([
      { name: 'folder/', data: '', type: '5' },
      { name: '././@LongLink', data: `${long}\0`, type: 'L' },
      { name: long.slice(0, 99), data: 'gnu' },
      { name: 'PaxHeader', data: record, type: 'x' },
      { name: 'short', data: 'pax' },
      { name: 'plain', data: '' },
    ]),
  );
  expect(entries.map(({ name, size }) => [name, size])).toEqual([
    [long, 3],
    [long, 3],
    ['plain', 0],
  ]);
});

test('archives that are cut short or damaged', async () => {
  const whole = tarFile([{ name: 'a.jpg', data: Buffer.alloc(2000, 7) }]);
  await expect(scan(whole.subarray(0, 1500))).rejects.toThrow(
    /damaged at byte 0 \(a file reaches beyond its end\)/,
  );
  await expect(scan(whole.subarray(0, 300))).rejects.toThrow(/ends within a header/);
  const changed = Buffer.from(whole);
  changed[0] = 0x62;
  await expect(scan(changed)).rejects.toThrow(/wrong checksum/);
});

test('whatever bytes change, the scan ends, and entries lie within the file', async () => {
  const whole = tarFile([
    { name: 'a.jpg', data: Buffer.alloc(700, 1) },
    { name: 'x', data: '20 path=somewhere\n', type: 'x' },
    { name: 'b.cls', data: '3' },
  ]);
  const changes = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(changes, fc.nat(whole.length), fc.boolean(), async (edits, length, repair) => {
      const bytes = Buffer.from(whole.subarray(0, length));
      for (const [at, value] of edits) if (at < length) bytes[at] = value;
      if (repair && length >= 512) {
        bytes.write('        ', 148);
        const sum = bytes.subarray(0, 512).reduce((total, byte) => total + byte, 0);
        bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
      }
      try {
        for (const { offset, size } of await scan(bytes)) expect(offset + size).toBeLessThanOrEqual(length);
      } catch (error) {
        expect(error).toBeInstanceOf(WidefieldError);
      }
    }),
    { numRuns: 500 },
  );
});
