// Bundles the page among the examples for a browser, which must take nothing that only Node has, and opens it.
import { accessSync, constants, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';

import { chromium } from 'playwright-core';
import { build, createLogger, preview } from 'vite';

/** `root` is the folder of the page; `outDir` an empty one. Returns what the page says of its device. */
export async function openPage(root, outDir) {
  const complaints = [];
  const complain = (message) => complaints.push(message);
  const customLogger = { ...createLogger('silent'), warn: complain, warnOnce: complain, error: complain };
  const quiet = { root, customLogger, logLevel: 'warn' };
  await build({ ...quiet, build: { outDir, emptyOutDir: true } });
  if (complaints.length > 0) throw new Error(`Bundling for browsers: ${complaints.join('\n')}`);
  for (const file of readdirSync(path.join(outDir, 'assets')).filter((name) => name.endsWith('.js'))) {
    const text = readFileSync(path.join(outDir, 'assets', file), 'utf8');
    const [bare] = /\bimport\(?\s*["'][^./"'][^"']*["']|\bfrom\s*["'](?![./])[^"']+["']/.exec(text) ?? [];
    if (bare !== undefined) throw new Error(`Browsers cannot load ${file}: it has ${bare}.`);
  }
  const executablePath = findChromium();
  if (executablePath === undefined) return 'no Chromium here to open it in';
  const server = await preview({ ...quiet, build: { outDir }, preview: { port: 0 } });
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  try {
    const page = await browser.newPage();
    page.on('pageerror', ({ message }) => complain(message));
    await page.goto(server.resolvedUrls.local[0]);
    await page.getByRole('button', { name: 'Classify the photo trouser-2' }).click();
    await page.locator('#classes li').first().waitFor();
    if (complaints.length > 0) throw new Error(`The page complains: ${complaints.join('\n')}`);
    return await page.locator('#device').textContent();
  } finally {
    await browser.close();
    await server.close();
  }
}

/** As the tests look for it: `CHROMIUM`, or the first on the PATH. */
function findChromium() {
  const folders = (process.env.PATH ?? '').split(path.delimiter);
  const names = ['chromium', 'chromium-browser', 'google-chrome'];
  const paths = names.flatMap((name) => folders.map((folder) => path.join(folder, name)));
  const found = [process.env.CHROMIUM, ...paths].find((file) => {
    try {
      accessSync(file, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
  if (found === undefined && process.env.WIDEFIELD_REQUIRE_BROWSER === '1') {
    throw new Error('There is no Chromium on the PATH, but WIDEFIELD_REQUIRE_BROWSER=1: install it.');
  }
  return found;
}
