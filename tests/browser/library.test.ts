import { join } from 'node:path';

import { chromium } from 'playwright-core';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type * as library from '../../src/index.ts';
import { createModel, syntheticInput } from '../../src/index.ts';
import { ISOLATED, buildPage } from '../support/browser-page.ts';
import type { BuiltPage } from '../support/browser-page.ts';
import { findChromium } from '../support/chromium.ts';

/** The project's bound for logits, relative to the largest (docs/ARCHITECTURE.md, Numerics). */
const PARITY = 1e-4;
const MODEL = 'mobilenet-v2';
const THREADS = 2;

/** What the page in tests/browser/page puts there. */
interface PageGlobals {
  readonly widefield: typeof library;
  model?: library.Model;
}

const executablePath = findChromium();

describe.skipIf(executablePath === undefined)('the library in Chromium', () => {
  let built: BuiltPage;
  let browser: Browser;
  let expected: Float32Array;

  beforeAll(async () => {
    built = await buildPage(join(import.meta.dirname, 'page'));
    browser = await chromium.launch({ executablePath: executablePath ?? '', args: ['--no-sandbox'] });
    const model = await createModel(MODEL, { weights: 'synthetic', device: 'wasm', threads: THREADS });
    expected = await model.run(syntheticInput([1, 3, 224, 224]));
    await model.dispose();
  });

  afterAll(async () => {
    await browser?.close();
    await built?.remove();
  });

  const openPage = async (headers: Readonly<Record<string, string>>): Promise<Page> => {
    const page = await browser.newPage();
    await page.goto(await built.serve(headers));
    await page.waitForFunction(() => 'widefield' in globalThis);
    return page;
  };

  /** Creates the model in the page, where it stays, and runs it. */
  const runThere = (page: Page) =>
    page.evaluate(
      async ({ name, threads }) => {
        const globals = globalThis as unknown as PageGlobals;
        const { createModel, syntheticInput } = globals.widefield;
        const model = await createModel(name, { weights: 'synthetic', device: 'auto', threads });
        globals.model = model;
        const logits = await model.run(syntheticInput([1, 3, 224, 224]));
        const { caps, note } = model.device;
        return { isolated: crossOriginIsolated, threads: caps.threads, note, logits: [...logits] };
      },
      { name: MODEL, threads: THREADS },
    );

  const disposeThere = (page: Page) =>
    page.evaluate(async () => {
      const { model } = globalThis as unknown as PageGlobals;
      await model?.dispose();
      return model?.run(new Float32Array(3 * 224 * 224)).then(
        () => 'ran',
        (error: library.WidefieldError) => error.code,
      );
    });

  const worstError = (logits: readonly number[]): number => {
    expect(logits.length).toBe(expected.length);
    const largest = Math.max(...expected.map(Math.abs));
    return Math.max(...logits.map((logit, i) => Math.abs(logit - (expected[i] ?? NaN)))) / largest;
  };

  test('where memory may be shared, threads compute what they do under Node, and end when disposed of', async () => {
    const page = await openPage(ISOLATED);
    const { isolated, threads, note, logits } = await runThere(page);
    expect({ isolated, threads }).toEqual({ isolated: true, threads: THREADS });
    expect(note).toContain(`${THREADS} worker threads`);
    expect(worstError(logits)).toBeLessThanOrEqual(PARITY);
    expect(page.workers().length).toBe(THREADS);
    expect(await disposeThere(page)).toBe('device-lost');
    // Browsers let workers that wait for memory end by themselves for some seconds.
    await expect.poll(() => page.workers().length, { timeout: 30_000 }).toBe(0);
    await page.close();
  });

  test('elsewhere, the calling thread computes the same, and the note says how to do better', async () => {
    const page = await openPage({});
    const { isolated, threads, note, logits } = await runThere(page);
    expect({ isolated, threads }).toEqual({ isolated: false, threads: 1 });
    expect(note).toContain('COOP and COEP');
    expect(worstError(logits)).toBeLessThanOrEqual(PARITY);
    expect(page.workers()).toEqual([]);
    expect(await disposeThere(page)).toBe('device-lost');
    await page.close();
  });

  test('native code is refused in a sentence', async () => {
    const page = await openPage({});
    const outcome = await page.evaluate(() => {
      const { openDevice } = (globalThis as unknown as PageGlobals).widefield;
      return openDevice('native').then(
        () => ({ code: 'none', message: '' }),
        ({ code, message }: library.WidefieldError) => ({ code, message }),
      );
    });
    expect(outcome).toEqual({
      code: 'unsupported',
      message: 'Native code cannot run in a browser: open the device `wasm`.',
    });
    await page.close();
  });
});
