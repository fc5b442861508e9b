import { symlink } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

import { build } from 'tsdown';

const root = fileURLToPath(new URL('../..', import.meta.url));

/**
 * Builds a script that a process or thread of its own is to run, since Node cannot run the source, to `<name>.js` in a folder.
 *
 * @param source its path from the project's root
 */
export async function buildScript(folder: string, name: string, source: string): Promise<URL> {
  await symlink(path.join(root, 'node_modules'), path.join(folder, 'node_modules'), 'junction');
  await build({
    config: false,
    cwd: root,
    entry: { [name]: path.join(root, source) },
    outDir: folder,
    clean: false,
    format: 'esm',
    platform: 'node',
    dts: false,
    fixedExtension: false,
    skipNodeModulesBundle: true,
    logLevel: 'silent',
  });
  return pathToFileURL(path.join(folder, `${name}.js`));
}
