import { Uint8ArrayReader, Uint8ArrayWriter, ZipWriter } from '@zip.js/zip.js';
import { expect, test } from 'vitest';

import { bytesSource } from '../../src/checkpoints/byte-source.ts';
import type { ByteSource } from '../../src/checkpoints/byte-source.ts';
import { loadCheckpoint } from '../../src/checkpoints/load.ts';
import { openZip } from '../../src/checkpoints/zip-archive.ts';

/** A zip file, compressed. */
async function zipOf(files: Readonly<Record<string, Uint8Array>>): Promise<ByteSource> {
  const writer = new ZipWriter(new Uint8ArrayWriter(), { useWebWorkers: false });
  for (const [name, bytes] of Object.entries(files)) await writer.add(name, new Uint8ArrayReader(bytes));
  return bytesSource(await writer.close(), 'packed.pth');
}

test('a compressed file that is read in parts is unpacked once', async () => {
  const content = Uint8Array.from({ length: 10_000 }, (_, i) => Math.floor(i / 64));
  const source = await zipOf({ a: content, b: content.toReversed() });
  let reads = 0;
  const counted: ByteSource = {
    ...source,
    read: (offset, length) => {
      reads++;
      return source.read(offset, length);
    },
  };
  const zip = await openZip(counted);
  expect(await zip.read('a', 0, 100)).toEqual(content.slice(0, 100));
  const before = reads;
  const parts = Array.from({ length: 50 }, (_, i) => zip.read('a', 200 * i, 200));
  expect(Buffer.concat(await Promise.all(parts))).toEqual(Buffer.from(content));
  expect(reads).toBe(before);
  expect(await zip.read('b', 0, 100)).toEqual(content.toReversed().slice(0, 100));
  expect(await zip.read('a', 0, 10_000)).toEqual(content);
});

test('a file that could not be unpacked is tried again', async () => {
  const content = new Uint8Array(1000).fill(1);
  const source = await zipOf({ a: content });
  let isBroken = false;
  const zip = await openZip({
    ...source,
    read: (offset, length) =>
      isBroken ? Promise.reject(new Error('the disk is gone')) : source.read(offset, length),
  });
  isBroken = true;
  await expect(zip.read('a', 0, 1)).rejects.toThrow('the disk is gone');
  isBroken = false;
  expect(await zip.read('a', 0, 1000)).toEqual(content);
});

test.each([
  [['x'], 'it has no data.pkl'],
  [['a/data.pkl', 'b/data.pkl'], 'it has more than one data.pkl'],
])('a zip file of %j is no checkpoint', async (names, hint) => {
  const source = await zipOf(Object.fromEntries(names.map((name) => [name, new Uint8Array(8)])));
  await expect(loadCheckpoint(source)).rejects.toThrow(hint);
});
