import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import sharp from 'sharp';
import type { Sharp } from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { Random } from '../../../src/core/random.ts';
import { WidefieldError } from '../../../src/core/errors.ts';
import type { ErrorCode } from '../../../src/core/errors.ts';
import { decodeImage } from '../../../src/runtime/image/image.ts';
import type { ImageInput, RgbImage } from '../../../src/runtime/image/image.ts';
import { cmykTiff, draw, jpegClaiming, noise, pngClaiming } from '../../support/sample-images.ts';

const photo = join(import.meta.dirname, '../../../examples/photos/chelsea.jpg');
const lossless = noise(13, 7, 'decode');
let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'widefield-images-'));
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

const rgb = (image: RgbImage): Sharp =>
  sharp(image.data, { raw: { width: image.width, height: image.height, channels: 3 } });

const rgba = (image: RgbImage, alpha: (i: number) => number): Sharp => {
  const { width, height, data } = image;
  const bytes = Uint8Array.from({ length: width * height * 4 }, (_, i) =>
    i % 4 === 3 ? alpha(i >> 2) : (data[(i >> 2) * 3 + (i % 4)] ?? 0),
  );
  return sharp(bytes, { raw: { width, height, channels: 4 } });
};

/** Six flat squares, all different, so that every orientation can be told from every other, even in a JPEG. */
const squares = draw(48, 32, (x, y) => {
  const square = Math.floor(x / 16) + 3 * Math.floor(y / 16);
  return (
    [
      [200, 20, 20],
      [20, 200, 20],
      [20, 20, 200],
      [200, 200, 20],
      [20, 200, 200],
      [200, 20, 200],
    ][square] ?? []
  );
});

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

/** For formats that lose detail: the mean difference, which is above 40 between `squares` turned in two ways. */
function expectAlike(actual: RgbImage, expected: RgbImage): void {
  expect([actual.width, actual.height]).toEqual([expected.width, expected.height]);
  const sum = expected.data.reduce((a, value, i) => a + Math.abs(value - (actual.data[i] ?? NaN)), 0);
  expect(sum / expected.data.length).toBeLessThan(8);
}

async function failure(
  input: ImageInput,
  options: Parameters<typeof decodeImage>[1] = {},
): Promise<WidefieldError> {
  const error: unknown = await decodeImage(input, options).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof WidefieldError)) throw new Error(`no WidefieldError: ${String(error)}`);
  expect(error.message).toMatch(/^[^\n]+\.$/);
  return error;
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
  test('a path, a file URL, a data URL, bytes and a Blob are the same image', async () => {
    const image = await decodeImage(photo);
    expect([image.width, image.height, image.data.length]).toEqual([451, 300, 451 * 300 * 3]);
    const bytes = await sharp(photo).png().toBuffer();
    const other: readonly ImageInput[] = [
      pathToFileURL(photo),
      bytes,
      Uint8Array.from(bytes).buffer,
      new Blob([Uint8Array.from(bytes)]),
      new URL(`data:image/png;base64,${bytes.toString('base64')}`),
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
