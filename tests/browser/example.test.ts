import { join } from 'node:path';

import { chromium } from 'playwright-core';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { memorySink } from '../../src/checkpoints/byte-sink.ts';
import { writeSafetensors } from '../../src/checkpoints/safetensors-writer.ts';
import { buildModel, createModel, parametersOf, syntheticWeights } from '../../src/index.ts';
import { buildPage } from '../support/browser-page.ts';
import type { BuiltPage } from '../support/browser-page.ts';
import { findChromium } from '../support/chromium.ts';

const executablePath = findChromium();
const examples = join(import.meta.dirname, '../../examples');
const cat = join(examples, 'photos/chelsea.jpg');
const MODEL = 'mobilenet-v2';

describe.skipIf(executablePath === undefined)('the example of a page', () => {
  let built: BuiltPage;
  let browser: Browser;
  let address: string;
  let page: Page;
  const complaints: string[] = [];

  beforeAll(async () => {
    built = await buildPage(join(examples, 'browser'));
    address = await built.serve();
    browser = await chromium.launch({ executablePath: executablePath ?? '', args: ['--no-sandbox'] });
  });

  afterAll(async () => {
    await browser?.close();
    await built?.remove();
  });

  beforeEach(async () => {
    page = await browser.newPage();
    page.on('console', (message) => complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(error.message));
    await page.goto(address);
    await page.getByLabel('Network').selectOption(MODEL);
  });

  afterEach(async () => {
    await page.close();
    expect(complaints.splice(0)).toEqual([]);
  });

  /** The labels that are shown, best first, once there are some. */
  const labels = async (): Promise<string[]> => {
    await page.locator('#result').waitFor();
    return page
      .locator('#classes meter')
      .evaluateAll((meters) => meters.map((meter) => meter.ariaLabel ?? ''));
  };

  const labelsUnderNode = async (): Promise<string[]> => {
    await using model = await createModel(MODEL, { weights: 'synthetic', device: 'wasm' });
    return (await model.classify(cat)).map(({ label }) => label);
  };

  test('classifies a sample photo on several threads, and says how', async () => {
    await page.getByRole('button', { name: 'Classify the photo chelsea' }).click();
    expect((await labels())[0]).toBe((await labelsUnderNode())[0]);
    expect(await page.locator('#classes li').count()).toBe(5);
    expect(await page.locator('#time').textContent()).toMatch(/^\d+ ms from file to labels$/);
    expect(await page.locator('#device').textContent()).toMatch(/^WebAssembly: .*worker threads\.$/);
    expect(await page.locator('#status').textContent()).toBe('');
  });

  test('takes chosen photos and weights; a checkpoint gives what its values give', async () => {
    await page.getByLabel('Drop a photo here, or choose one').setInputFiles(cat);
    const before = await labels();
    const parameters = [...parametersOf(buildModel(MODEL))];
    const weights = syntheticWeights(parameters);
    const sink = memorySink();
    await writeSafetensors(parameters, (key) => weights.read(key), sink);
    const buffer = Buffer.from(await sink.blob().arrayBuffer());
    await page
      .getByLabel('Weights (.pth or .safetensors)')
      .setInputFiles({ name: 'mobilenet.safetensors', mimeType: 'application/octet-stream', buffer });
    expect(await labels()).toEqual(before);
  });

  test('tells clothes apart with the network that comes with the package', async () => {
    await page.getByLabel('Network').selectOption('slak-fashion');
    await page.getByRole('button', { name: 'Classify the photo trouser-2' }).click();
    expect((await labels())[0]).toBe('Trouser');
  });

  test('takes photos that are dropped', async () => {
    const dropped = await page.evaluateHandle(async () => {
      const address = document.querySelector<HTMLImageElement>('#samples img')?.src ?? '';
      const blob = await (await fetch(address)).blob();
      const data = new DataTransfer();
      data.items.add(new File([blob], 'dropped.jpg', { type: 'image/jpeg' }));
      return data;
    });
    await page.dispatchEvent('#drop', 'drop', { dataTransfer: dropped });
    expect((await labels()).length).toBe(5);
  });

  test('what is chosen last counts', async () => {
    await page.getByLabel('Drop a photo here, or choose one').setInputFiles(cat);
    await page.getByLabel('Network').selectOption('convnext-femto');
    await page.getByLabel('Network').selectOption(MODEL);
    expect((await labels())[0]).toBe((await labelsUnderNode())[0]);
    expect(await page.getByRole('alert').textContent()).toBe('');
  });

  test('tells of files that are no images or checkpoints, and goes on', async () => {
    const photo = page.getByLabel('Drop a photo here, or choose one');
    const text = { mimeType: 'text/plain', buffer: Buffer.from('not an image') };
    await photo.setInputFiles({ name: 'notes.txt', ...text });
    await page.getByText('notes.txt cannot be decoded by this browser').waitFor();
    expect(await page.locator('#result').isVisible()).toBe(false);
    await page.getByLabel('Weights (.pth or .safetensors)').setInputFiles({ name: 'weights.pth', ...text });
    await page.getByText('weights.pth is not a checkpoint').waitFor();
    await page.getByLabel('Weights (.pth or .safetensors)').setInputFiles([]);
    await photo.setInputFiles(cat);
    expect((await labels()).length).toBe(5);
    expect(await page.getByRole('alert').textContent()).toBe('');
  });

  test('works on one thread where memory may not be shared', async () => {
    await page.goto(await built.serve({}));
    await page.getByLabel('Network').selectOption(MODEL);
    await page.getByRole('button', { name: 'Classify the photo chelsea' }).click();
    expect((await labels())[0]).toBe((await labelsUnderNode())[0]);
    expect(await page.locator('#device').textContent()).toContain('programs run on the calling thread');
  });
});
