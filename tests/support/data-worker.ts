import { symlink } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

import { build } from 'tsdown';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Builds the file of the threads that prepare images, since Node cannot run the source. */
export async function buildDataWorker(folder: string): Promise<URL> {
  await symlink(path.join(root, 'node_modules'), path.join(folder, 'node_modules'), 'junction');
  await build({
    config: false,
    cwd: root,
    entry: { 'data-worker': path.join(root, 'src/data/worker.ts') },
    outDir: folder,
    clean: false,
    format: 'esm',
    platform: 'node',
    dts: false,
    fixedExtension: false,
    skipNodeModulesBundle: true,
    logLevel: 'silent',
  });
  return pathToFileURL(path.join(folder, 'data-worker.js'));
}
