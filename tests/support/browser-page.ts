import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { build, preview } from 'vite';
import type { InlineConfig } from 'vite';

/**
 * The library's sources take the place of the package, so that tests need no build of it. Not of what is below it:
 * `widefield/slak-fashion/model.json` is a file.
 */
const SOURCES = [{ find: /^widefield$/, replacement: join(import.meta.dirname, '../../src/index.ts') }];

/** Served so, a page may share memory among threads. */
export const ISOLATED = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

export interface BuiltPage {
  /** Serves the page with its own configuration, or with just these headers. */
  serve(headers?: Readonly<Record<string, string>>): Promise<string>;
  /** Stops serving and deletes what was built. */
  remove(): Promise<void>;
}

/** Bundles the page in a folder with Vite, by the configuration there if there is one. */
export async function buildPage(root: string): Promise<BuiltPage> {
  const outDir = await mkdtemp(join(tmpdir(), 'widefield-page-'));
  const config: InlineConfig = { root, logLevel: 'error', resolve: { alias: SOURCES } };
  await build({ ...config, build: { outDir, emptyOutDir: true } });
  const closers: (() => Promise<void>)[] = [];
  return {
    async serve(headers) {
      const server = await preview({
        ...config,
        build: { outDir },
        preview: { port: 0, host: 'localhost', ...(headers && { headers }) },
        ...(headers && { configFile: false }),
      });
      closers.push(() => server.close());
      const address = server.resolvedUrls?.local[0];
      if (address === undefined) throw new Error('The page is not served.');
      return address;
    },
    async remove() {
      await Promise.all(closers.map((close) => close()));
      await rm(outDir, { recursive: true, force: true });
    },
  };
}
