import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { Random } from '../../../src/core/random.ts';
import { WidefieldError } from '../../../src/core/errors.ts';
import type { ErrorCode } from '../../../src/core/errors.ts';
import { decodeImage } from '../../../src/runtime/image/image.ts';
import { expectAlike, failure, rgb, squares } from '../../support/decoding.ts';
import { jpegClaiming, noise, pngClaiming } from '../../support/sample-images.ts';

const photo = join(import.meta.dirname, '../../../examples/photos/chelsea.jpg');
let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'widefield-images-'));
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('bad files', () => {
  async function file(name: string, bytes: Uint8Array | string): Promise<string> {
    const path = join(folder, name);
    await writeFile(path, bytes);
    return path;
  }

  async function expectFailure(path: string, code: ErrorCode, reason: RegExp): Promise<void> {
    const error = await failure(path);
    expect(error.message).toContain(path);
    expect([error.code, error.message]).toEqual([code, expect.stringMatching(reason)]);
  }

  test('missing, a folder, not readable', async () => {
    await expectFailure(join(folder, 'missing.jpg'), 'io', /no such file/);
    await expectFailure(folder, 'io', /folder/);
    const secret = await file('secret.png', await rgb(squares).png().toBuffer());
    await chmod(secret, 0);
    if (process.getuid?.() !== 0) await expectFailure(secret, 'io', /denied/);
    expect((await failure(new URL('http://127.0.0.1:9/none.png'))).code).toBe('io');
  });

  test('empty, text, SVG, HEIC, PDF', async () => {
    await expectFailure(await file('empty.png', ''), 'invalid-argument', /empty/);
    expect((await failure(new Uint8Array(0))).message).toMatch(/empty/);
    const noImages = {
      'text.jpg': 'This is not a photo.',
      'drawing.svg': '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
      'apple.heic': '\0\0\0\x18ftypheic\0\0\0\0mif1heic',
      'paper.pdf': '%PDF-1.7',
      'short.jpg': '\xff',
    };
    for (const [name, text] of Object.entries(noImages)) {
      const path = await file(name, Buffer.from(text, 'latin1'));
      await expectFailure(path, 'invalid-argument', /not an image that Widefield reads.*JPEG, PNG/);
    }
  });

  test('a download that is no image is not read to its end', async () => {
    let isClosed = false;
    const server = createServer((_, response) => {
      // It never ends.
      const timer = setInterval(() => response.write('This is not a photo. '), 5);
      response.on('close', () => {
        clearInterval(timer);
        isClosed = true;
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/film.mp4`;
      const error = await failure(address);
      expect(error.code).toBe('invalid-argument');
      expect(error.message).toContain(`${address} is not an image that Widefield reads`);
      await expect.poll(() => isClosed).toBe(true);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });

  test('a Blob is looked at before it is read', async () => {
    class Unread extends Blob {
      override arrayBuffer(): Promise<ArrayBuffer> {
        return Promise.reject(new DOMException('The blob could not be read.', 'NotReadableError'));
      }
    }
    class Huge extends Unread {
      override get size(): number {
        return 2 ** 31;
      }
    }
    const png = Uint8Array.from(await rgb(squares).png().toBuffer());
    expect((await failure(new Unread(['This is not a photo.']))).message).toMatch(/not an image/);
    expect((await failure(new Huge([png]))).message).toMatch(/larger than 2 GiB/);
    const { code, message } = await failure(new Unread([png]));
    expect([code, message]).toEqual(['io', expect.stringContaining('could not be read')]);
  });

  test('megabytes of a data: address are not repeated', async () => {
    const error = await failure(`data:text/plain,${'x'.repeat(1e6)}`);
    expect(error.message.length).toBeLessThan(300);
  });

  test('truncated', async () => {
    const image = noise(64, 64, 'truncated');
    const encoders = {
      jpeg: {},
      png: {},
      webp: { lossless: true },
      avif: {},
      tiff: { compression: 'lzw' },
    } as const;
    for (const [format, options] of Object.entries(encoders)) {
      const bytes = await rgb(image)
        .toFormat(format as keyof typeof encoders, options)
        .toBuffer();
      for (const share of [0.1, 0.5, 0.9]) {
        const path = await file(`${share}.${format}`, bytes.subarray(0, Math.ceil(bytes.length * share)));
        await expectFailure(path, 'invalid-argument', /cannot be decoded \(.+\): .*damaged/);
      }
    }
  });

  test('damaged in the middle', async () => {
    const jpeg = await readFile(photo);
    jpeg.fill(0x55, 15_000, 15_300);
    await expectFailure(await file('damaged.jpg', jpeg), 'invalid-argument', /damaged/);
    const png = await rgb(noise(64, 64, 'damaged'))
      .png()
      .toBuffer();
    png[5000] = 255 - (png[5000] ?? 0);
    await expectFailure(await file('damaged.png', png), 'invalid-argument', /damaged/);
  });

  test('what some cameras do wrong is no damage', async () => {
    const jpeg = await rgb(squares).jpeg({ quality: 95, mozjpeg: false, progressive: false }).toBuffer();
    const scan = jpeg.indexOf(Buffer.from([0xff, 0xda]));
    const components = jpeg[scan + 4] ?? 0;
    jpeg[scan + 6 + 2 * components] = 0; // end of spectral selection: 63 is meant
    await expect(sharp(jpeg).raw().toBuffer()).rejects.toThrow(/Invalid SOS/);
    expectAlike(await decodeImage(jpeg), squares);
  });
});

describe('the limit of pixels', () => {
  test('is 100 million, or what the caller says', async () => {
    const png = await rgb(squares).png().toBuffer();
    expect((await failure(png, { maxPixels: 48 * 32 - 1 })).message).toMatch(/48 × 32 .* limit of 1535/);
    expect((await decodeImage(png, { maxPixels: 48 * 32 })).width).toBe(48);
    expect((await decodeImage(png, { maxPixels: Infinity })).width).toBe(48);
    expect((await failure(squares, { maxPixels: 100 })).message).toMatch(/limit of 100/);
    expect((await failure(png, { maxPixels: 0 })).message).toMatch(/positive/);
    expect((await failure(png, { maxPixels: NaN })).message).toMatch(/positive/);
  });

  test('is checked before anything is decoded', async () => {
    const png = await rgb(squares).png().toBuffer();
    const jpeg = await rgb(squares).jpeg().toBuffer();
    const webp = await rgb(squares).webp().toBuffer();
    for (const bytes of [
      pngClaiming(png, 60_000, 60_000),
      pngClaiming(png, 10_001, 10_000),
      jpegClaiming(jpeg, 65_000, 65_000),
    ]) {
      expect((await failure(bytes)).message).toMatch(/\d+ × \d+ pixels, more than the limit of 100000000/);
    }
    expect((await failure(pngClaiming(png, 2 ** 31 - 1, 2 ** 31 - 1))).code).toBe('invalid-argument');
    expect((await failure(pngClaiming(png, 0, 5))).code).toBe('invalid-argument');
    expect((await failure(webp, { maxPixels: 9 })).message).toMatch(/48 × 32/);
  });
});

test.each(['jpeg', 'png', 'webp', 'avif', 'gif', 'tiff'] as const)(
  'mutated %s files are decoded or refused in one sentence',
  async (format) => {
    const original = await rgb(noise(24, 16, 'mutants'))
      .toFormat(format)
      .toBuffer();
    const random = new Random(`mutate ${format}`);
    let next = 0;
    const below = (limit: number): number => random.bits(next++) % limit;
    for (let round = 0; round < 80; round++) {
      const bytes = Buffer.from(original);
      // Half of the rounds aim at headers, where sizes and offsets are.
      const reach = round % 2 === 0 ? Math.min(160, bytes.length) : bytes.length;
      for (let n = 1 + below(6); n > 0; n--) bytes[below(reach)] = [0, 255, 128, below(256)][below(4)] ?? 0;
      const mutant = round % 5 === 0 ? bytes.subarray(0, below(bytes.length)) : bytes;
      try {
        const { width, height, data } = await decodeImage(mutant, { maxPixels: 1e6 });
        expect(data.length).toBe(width * height * 3);
      } catch (error) {
        if (!(error instanceof WidefieldError)) throw error;
        expect(error.code).toBe('invalid-argument');
        expect(error.message).toMatch(/^The image [^\n]+\.$/);
      }
    }
  },
);
