import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import sharp from 'sharp';
import { afterAll, onTestFinished } from 'vitest';

/** A new folder that goes when the tests of a file are done; not to be called within a test. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'widefield-test-'));
  afterAll(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A new folder that goes when the test that calls this is done. */
export async function folderOfTest(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'widefield-test-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** An IDX file of bytes. */
export function idxFile(shape: readonly number[], data: Uint8Array): Uint8Array {
  const header = Buffer.alloc(4 + 4 * shape.length);
  header.writeUInt32BE(0x0800 + shape.length);
  shape.forEach((extent, i) => header.writeUInt32BE(extent, 4 + 4 * i));
  return Buffer.concat([header, data]);
}

/** A tar archive, in the simplest of its formats. `type` is for special entries. */
export function tarFile(
  entries: readonly { readonly name: string; readonly data: Uint8Array | string; readonly type?: string }[],
): Uint8Array {
  const blocks = entries.flatMap(({ name, data, type = '0' }) => {
    const bytes = Buffer.from(data);
    const header = Buffer.alloc(512);
    header.write(name, 0, 100);
    header.write('0000644\0' + '0000000\0'.repeat(2), 100);
    header.write(`${bytes.length.toString(8).padStart(11, '0')}\0`, 124);
    header.write('00000000000\0', 136);
    header.write('        ', 148);
    header.write(type, 156);
    header.write('ustar\0' + '00', 257);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    return [header, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

/** A JPEG or PNG of one colour with a gradient, so that crops differ. */
export async function encodedImage(
  format: 'jpeg' | 'png' | 'webp',
  colour: number,
  width = 40,
  height = 30,
): Promise<Buffer> {
  const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => {
    const pixel = Math.floor(i / 3);
    return (colour * 50 + (pixel % width) * 2 + Math.floor(pixel / width) + (i % 3) * 20) % 256;
  });
  return sharp(data, { raw: { width, height, channels: 3 } })
    .toFormat(format)
    .toBuffer();
}
