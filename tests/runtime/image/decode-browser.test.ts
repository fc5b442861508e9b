import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { chromium } from 'playwright-core';
import type { Browser, Page } from 'playwright-core';
import sharp from 'sharp';
import { build } from 'tsdown';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { decodeImage } from '../../../src/runtime/image/image.ts';
import { findChromium } from '../../support/chromium.ts';
import { draw, noise, pngClaiming } from '../../support/sample-images.ts';

interface Outcome {
  readonly size?: readonly [number, number];
  readonly pixels?: readonly number[];
  readonly code?: string;
  readonly message?: string;
}

const executablePath = findChromium();

/** What the page has loaded. */
interface Loaded {
  readonly decodeImage: typeof decodeImage;
}

const PAGE = `<!doctype html><script type="module">
  globalThis.decodeImage = (await import('/image.js')).decodeImage;
</script>`;

/** What the page makes of encoded bytes before it decodes them. */
type Kind = 'blob' | 'bytes' | 'url' | 'bitmap' | 'image-data' | 'missing-url';

describe.skipIf(executablePath === undefined)('in Chromium', () => {
  let folder = '';
  let browser: Browser;
  let page: Page;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'widefield-decode-'));
    await build({
      config: false,
      entry: { image: join(import.meta.dirname, '../../../src/runtime/image/image.ts') },
      outDir: folder,
      format: 'esm',
      platform: 'browser',
      fixedExtension: false,
      external: ['sharp', /^node:/],
      dts: false,
      logLevel: 'error',
    });
    browser = await chromium.launch({ executablePath: executablePath ?? '', args: ['--no-sandbox'] });
    page = await browser.newPage();
    await page.route('http://localhost/**', async (route) => {
      const name = new URL(route.request().url()).pathname.slice(1);
      if (name === '') return route.fulfill({ contentType: 'text/html', body: PAGE });
      const body = await readFile(join(folder, name)).catch(() => undefined);
      return body === undefined
        ? route.fulfill({ status: 404 })
        : route.fulfill({ contentType: 'text/javascript', body });
    });
    await page.goto('http://localhost/');
    await page.waitForFunction(() => 'decodeImage' in globalThis);
  });

  afterAll(async () => {
    await browser?.close();
    await rm(folder, { recursive: true, force: true });
  });

  const decodeThere = async (kind: Kind, encoded: Uint8Array, maxPixels = 1e6): Promise<Outcome> => {
    // Bytes go and come as text, which is much quicker than numbers.
    const { text, ...outcome } = await page.evaluate(
      async ({ kind, sent, maxPixels }): Promise<Outcome & { readonly text?: string }> => {
        const { decodeImage } = globalThis as unknown as Loaded;
        const bytes = Uint8Array.from(sent, (letter) => letter.charCodeAt(0));
        const blob = new Blob([bytes]);
        const make = async () => {
          switch (kind) {
            case 'bytes':
              return bytes;
            case 'url':
              return URL.createObjectURL(blob);
            case 'missing-url':
              return '/missing.png';
            case 'bitmap':
              return createImageBitmap(blob);
            case 'image-data': {
              const bitmap = await createImageBitmap(blob);
              const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d');
              context?.drawImage(bitmap, 0, 0);
              return context?.getImageData(0, 0, bitmap.width, bitmap.height) ?? '';
            }
            default:
              return blob;
          }
        };
        try {
          const { width, height, data } = await decodeImage(await make(), { maxPixels });
          return { size: [width, height], text: Array.from(data, (v) => String.fromCharCode(v)).join('') };
        } catch (error) {
          const { code, message } = error as { code: string; message: string };
          return { code, message };
        }
      },
      { kind, sent: Buffer.from(encoded).toString('latin1'), maxPixels },
    );
    return text === undefined ? outcome : { ...outcome, pixels: [...Buffer.from(text, 'latin1')] };
  };

  const image = noise(40, 24, 'browser');
  const raw = { raw: { width: 40, height: 24, channels: 3 as const } };

  test.each<Kind>(['blob', 'bytes', 'url', 'bitmap', 'image-data'])('a %s has its pixels', async (kind) => {
    const { size, pixels } = await decodeThere(kind, await sharp(image.data, raw).png().toBuffer());
    expect(size).toEqual([40, 24]);
    expect(pixels).toEqual([...image.data]);
  });

  test('images that are larger than a canvas have theirs too', async () => {
    const [width, height] = [70_000, 2];
    const { data } = draw(width, height, (x, y) => [x, x >> 8, y]);
    const across = sharp(data, { raw: { width, height, channels: 3 } });
    for (const png of [await across.png().toBuffer(), await across.rotate(90).png().toBuffer()]) {
      const here = await decodeImage(png);
      const { size, pixels } = await decodeThere('blob', png);
      expect(size).toEqual([here.width, here.height]);
      expect(Buffer.compare(Buffer.from(pixels ?? []), Buffer.from(here.data))).toBe(0);
    }
  });

  test.each([1, 3, 6, 7])('EXIF orientation %i is applied, as under Node', async (orientation) => {
    const jpeg = await sharp(image.data, raw)
      .blur(3)
      .jpeg({ quality: 95, chromaSubsampling: '4:4:4' })
      .withMetadata({ orientation })
      .toBuffer();
    const here = await decodeImage(jpeg);
    const { size, pixels = [] } = await decodeThere('blob', jpeg);
    expect(size).toEqual([here.width, here.height]);
    expect(pixels.length).toBe(here.data.length);
    expect(
      Math.max(...pixels.map((value, i) => Math.abs(value - (here.data[i] ?? NaN)))),
    ).toBeLessThanOrEqual(3);
  });

  test('colour profiles are ignored and alpha is dropped', async () => {
    const profiled = await sharp(image.data, raw).withIccProfile('p3').png().toBuffer();
    const { pixels } = await decodeThere('blob', profiled);
    expect(pixels).toEqual([...(await decodeImage(profiled)).data]);
    const translucent = await sharp(image.data, raw).ensureAlpha(0.5).png().toBuffer();
    const seen = (await decodeThere('blob', translucent)).pixels ?? [];
    // Canvases keep colours multiplied by alpha, so at one half they are known to within 2.
    expect(Math.max(...seen.map((value, i) => Math.abs(value - (image.data[i] ?? NaN))))).toBeLessThanOrEqual(
      2,
    );
  });

  test('bad images are refused in one sentence', async () => {
    const png = await sharp(image.data, raw).png().toBuffer();
    const sentences: readonly (readonly [Outcome, string, RegExp])[] = [
      [await decodeThere('blob', new Uint8Array(0)), 'invalid-argument', /empty/],
      [await decodeThere('bytes', png.subarray(0, 30)), 'invalid-argument', /cannot be decoded/],
      [await decodeThere('blob', Buffer.from('no image')), 'invalid-argument', /cannot be decoded/],
      [await decodeThere('blob', png, 100), 'invalid-argument', /40 × 24 pixels, more than the limit of 100/],
      [await decodeThere('bitmap', png, 100), 'invalid-argument', /limit of 100/],
      [
        await decodeThere('blob', pngClaiming(png, 60_000, 60_000)),
        'invalid-argument',
        /60000 × 60000|decoded/,
      ],
      [await decodeThere('missing-url', png), 'io', /missing\.png cannot be fetched \(404/],
    ];
    for (const [{ code, message }, expectedCode, reason] of sentences) {
      expect([code, message]).toEqual([expectedCode, expect.stringMatching(reason)]);
      expect(message).toMatch(/^[^\n]+\.$/);
    }
  });
});
