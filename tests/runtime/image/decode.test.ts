import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import sharp from 'sharp';
import type { Sharp } from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { decodeImage } from '../../../src/runtime/image/image.ts';
import type { ImageInput, RgbImage } from '../../../src/runtime/image/image.ts';
import { expectAlike, failure, rgb, squares } from '../../support/decoding.ts';
import { cmykTiff, draw, noise } from '../../support/sample-images.ts';

const photo = join(import.meta.dirname, '../../../examples/photos/chelsea.jpg');
const lossless = noise(13, 7, 'decode');
let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'widefield-images-'));
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

const rgba = (image: RgbImage, alpha: (i: number) => number): Sharp => {
  const { width, height, data } = image;
  const bytes = Uint8Array.from({ length: width * height * 4 }, (_, i) =>
    i % 4 === 3 ? alpha(i >> 2) : (data[(i >> 2) * 3 + (i % 4)] ?? 0),
  );
  return sharp(bytes, { raw: { width, height, channels: 4 } });
};

/** The image that a file with these stored pixels and this EXIF orientation shows. */
function upright(stored: RgbImage, orientation: number): RgbImage {
  const { width: w, height: h, data } = stored;
  const turned = orientation >= 5;
  /** Where the shown pixel (x, y) is stored. */
  const source = (x: number, y: number): readonly [number, number] => {
    switch (orientation) {
      case 2:
        return [w - 1 - x, y];
      case 3:
        return [w - 1 - x, h - 1 - y];
      case 4:
        return [x, h - 1 - y];
      case 5:
        return [y, x];
      case 6:
        return [y, h - 1 - x];
      case 7:
        return [w - 1 - y, h - 1 - x];
      case 8:
        return [w - 1 - y, x];
      default:
        return [x, y];
    }
  };
  return draw(turned ? h : w, turned ? w : h, (x, y) => {
    const [sx, sy] = source(x, y);
    return [...data.subarray((sy * w + sx) * 3, (sy * w + sx) * 3 + 3)];
  });
}

function expectClose(actual: RgbImage, expected: RgbImage, tolerance: number): void {
  expect([actual.width, actual.height]).toEqual([expected.width, expected.height]);
  expect(actual.data.length).toBe(expected.data.length);
  const worst = expected.data.reduce(
    (a, value, i) => Math.max(a, Math.abs(value - (actual.data[i] ?? NaN))),
    0,
  );
  expect(worst).toBeLessThanOrEqual(tolerance);
}

describe('formats', () => {
  test.each<[string, (image: Sharp) => Sharp]>([
    ['PNG', (image) => image.png()],
    ['interlaced PNG', (image) => image.png({ progressive: true })],
    ['WebP', (image) => image.webp({ lossless: true })],
    ['AVIF', (image) => image.avif({ lossless: true, chromaSubsampling: '4:4:4' })],
    ['TIFF', (image) => image.tiff({ compression: 'lzw', predictor: 'horizontal' })],
    ['tiled BigTIFF', (image) => image.tiff({ compression: 'deflate', tile: true, bigtiff: true })],
  ])('%s, without loss', async (name, encode) => {
    const bytes = await encode(rgb(lossless)).toBuffer();
    // AVIF's lossless mode still converts between RGB and YCbCr.
    expectClose(await decodeImage(bytes), lossless, name === 'AVIF' ? 3 : 0);
  });

  test.each<[string, (image: Sharp) => Sharp]>([
    ['JPEG', (image) => image.jpeg({ quality: 95 })],
    ['progressive JPEG', (image) => image.jpeg({ quality: 95, progressive: true })],
    ['WebP', (image) => image.webp({ quality: 95 })],
    ['AVIF', (image) => image.avif({ quality: 90 })],
    ['GIF', (image) => image.gif()],
  ])('%s, with losses', async (_, encode) => {
    expectAlike(await decodeImage(await encode(rgb(squares)).toBuffer()), squares);
  });

  test('of several frames, the first', async () => {
    const other = draw(48, 32, () => [1, 2, 3]);
    const frames = sharp([await rgb(squares).png().toBuffer(), await rgb(other).png().toBuffer()], {
      join: { animated: true },
    });
    expectClose(await decodeImage(await frames.clone().gif().toBuffer()), squares, 8);
    expectClose(await decodeImage(await frames.clone().webp({ lossless: true }).toBuffer()), squares, 0);
    expectClose(await decodeImage(await frames.clone().tiff({ compression: 'lzw' }).toBuffer()), squares, 0);
  });
});

describe('colours', () => {
  test('alpha is dropped, not blended', async () => {
    const alpha = (i: number): number => [0, 1, 128, 255][i % 4] ?? 0;
    expectClose(await decodeImage(await rgba(lossless, alpha).png().toBuffer()), lossless, 0);
    const webp = await rgba(lossless, alpha).webp({ lossless: true, exact: true }).toBuffer();
    expectClose(await decodeImage(webp), lossless, 0);
  });

  test('grey becomes RGB, with alpha or without', async () => {
    const grey = draw(9, 5, (x, y) => Array<number>(3).fill(20 * x + y));
    const one = rgb(grey).extractChannel(0);
    expectClose(await decodeImage(await one.clone().png().toBuffer()), grey, 0);
    expectClose(await decodeImage(await one.clone().jpeg({ quality: 100 }).toBuffer()), grey, 1);
    const bytes = Uint8Array.from({ length: 9 * 5 * 2 }, (_, i) =>
      i % 2 ? 100 : (grey.data[(i >> 1) * 3] ?? 0),
    );
    const two = sharp(bytes, { raw: { width: 9, height: 5, channels: 2 } });
    expectClose(await decodeImage(await two.png().toBuffer()), grey, 0);
  });

  test('palettes are expanded', async () => {
    const bytes = await rgb(squares).png({ palette: true, dither: 0 }).toBuffer();
    expect((await sharp(bytes).metadata()).isPalette).toBe(true);
    expectClose(await decodeImage(bytes), squares, 2);
    const black = draw(16, 16, (x) => Array<number>(3).fill(x < 8 ? 0 : 255));
    const bits = await rgb(black).png({ palette: true, colours: 2, dither: 0 }).toBuffer();
    expectClose(await decodeImage(bits), black, 0);
  });

  test.each(['rgb16', 'grey16'] as const)('of 16 bits the high 8 are kept: %s', async (space) => {
    const channels = space === 'rgb16' ? 3 : 1;
    const values = Uint16Array.from({ length: 8 * 8 * channels }, (_, i) => (i * 337 + 255) & 65535);
    const image = sharp(values, { raw: { width: 8, height: 8, channels } }).toColourspace(space);
    const expected = draw(8, 8, (x, y) =>
      [0, 1, 2].map((c) => (values[(y * 8 + x) * channels + (c % channels)] ?? 0) >> 8),
    );
    const png = await image.clone().png().toBuffer();
    expect((await sharp(png).metadata()).depth).toBe('ushort');
    expectClose(await decodeImage(png), expected, 0);
    expectClose(await decodeImage(await image.clone().tiff({ compression: 'lzw' }).toBuffer()), expected, 0);
  });

  test('CMYK is converted plainly, without a profile', async () => {
    const inks = [
      [0, 0, 0, 0],
      [255, 0, 0, 0],
      [0, 255, 0, 0],
      [0, 0, 255, 0],
      [0, 0, 0, 255],
      [100, 50, 25, 128],
    ];
    const light = 127;
    const dark = [100, 50, 25].map((ink) => light - Math.round((ink * light) / 255));
    const colours = [[255, 255, 255], [0, 255, 255], [255, 0, 255], [255, 255, 0], [0, 0, 0], dark];
    const tiff = cmykTiff(6, 1, Uint8Array.from(inks.flat()));
    expect(await decodeImage(tiff)).toEqual(draw(6, 1, (x) => colours[x] ?? []));
    const deep = cmykTiff(
      6,
      1,
      Uint16Array.from(inks.flat(), (ink, i) => ink * 256 + i),
    );
    expect((await sharp(deep).metadata()).depth).toBe('ushort');
    expect(await decodeImage(deep)).toEqual(await decodeImage(tiff));
    const jpeg = await rgb(squares).toColourspace('cmyk').jpeg({ quality: 95 }).toBuffer();
    expect((await sharp(jpeg).metadata()).space).toBe('cmyk');
    // The profile with which sharp made it is undone without one, so colours are only near.
    const image = await decodeImage(jpeg);
    const at = (x: number, y: number): number[] => [
      ...image.data.subarray((y * 48 + x) * 3, (y * 48 + x) * 3 + 3),
    ];
    const [red, ,] = at(8, 8);
    expect(red).toBeGreaterThan(150);
    expect(Math.max(...at(8, 8).slice(1))).toBeLessThan(100);
    expect(at(40, 8)[2]).toBeGreaterThan(at(40, 8)[0] ?? 255);
  });

  test('colour profiles are ignored', async () => {
    const bytes = await rgb(squares).withIccProfile('p3').png().toBuffer();
    const stored = await sharp(bytes, { ignoreIcc: true }).raw().toBuffer();
    expect(Buffer.compare(stored, Buffer.from(squares.data))).not.toBe(0);
    expect(Buffer.compare(stored, Buffer.from((await decodeImage(bytes)).data))).toBe(0);
  });
});

describe.each([1, 2, 3, 4, 5, 6, 7, 8])('EXIF orientation %i', (orientation) => {
  test.each<[string, (image: Sharp) => Sharp]>([
    ['PNG', (image) => image.png()],
    ['WebP', (image) => image.webp({ lossless: true })],
    ['TIFF', (image) => image.tiff({ compression: 'lzw' })],
  ])('%s', async (_, encode) => {
    const bytes = await encode(rgb(squares)).withMetadata({ orientation }).toBuffer();
    expect((await sharp(bytes).metadata()).orientation).toBe(orientation);
    expectClose(await decodeImage(bytes), upright(squares, orientation), 0);
  });

  test('JPEG', async () => {
    const bytes = await rgb(squares).jpeg().withMetadata({ orientation }).toBuffer();
    expectAlike(await decodeImage(bytes), upright(squares, orientation));
  });

  test('CMYK', async () => {
    const jpeg = rgb(squares).toColourspace('cmyk').jpeg({ quality: 95 });
    const stored = await decodeImage(await jpeg.clone().withMetadata({ orientation: 1 }).toBuffer());
    const shown = await decodeImage(await jpeg.clone().withMetadata({ orientation }).toBuffer());
    expectAlike(shown, upright(stored, orientation));
  });
});

describe('inputs', () => {
  test('a path, addresses, bytes and a Blob are the same image', async () => {
    const image = await decodeImage(photo);
    expect([image.width, image.height, image.data.length]).toEqual([451, 300, 451 * 300 * 3]);
    const bytes = await sharp(photo).png().toBuffer();
    const other: readonly ImageInput[] = [
      pathToFileURL(photo),
      pathToFileURL(photo).href,
      bytes,
      Uint8Array.from(bytes).buffer,
      new Blob([Uint8Array.from(bytes)]),
      new URL(`data:image/png;base64,${bytes.toString('base64')}`),
      `data:image/png;base64,${bytes.toString('base64')}`,
    ];
    for (const input of other) expectClose(await decodeImage(input), image, 0);
  });

  test('RGB pixels are taken as they are, RGBA ones without alpha', async () => {
    const { width, height, data } = lossless;
    expect((await decodeImage(lossless)).data).toEqual(data);
    const four = new Uint8ClampedArray(
      await rgba(lossless, (i) => i % 256)
        .raw()
        .toBuffer(),
    );
    expect(await decodeImage({ width, height, data: four })).toEqual(lossless);
  });

  test('pixels that do not fit their size, and things that are no images, are refused', async () => {
    expect((await failure({ width: 2, height: 2, data: new Uint8Array(5) })).message).toMatch(/5 bytes/);
    expect((await failure({ width: 0, height: 2, data: new Uint8Array(0) })).message).toMatch(/at least one/);
    for (const thing of [undefined, null, 7, {}, { width: 1, height: 1, data: [1, 2, 3] }]) {
      expect((await failure(thing as unknown as ImageInput)).code).toBe('invalid-argument');
    }
  });

  test('an aborted signal ends it', async () => {
    expect((await failure(photo, { signal: AbortSignal.abort() })).code).toBe('aborted');
    const controller = new AbortController();
    const running = failure(photo, { signal: controller.signal });
    controller.abort();
    expect((await running).code).toBe('aborted');
  });
});
