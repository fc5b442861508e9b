import { defineConfig } from 'tsdown';

/**
 * Entries for users: the library and the lab, which browsers may bundle, what only Node can do, and the command line. What
 * the library imports dynamically under Node alone has entries too, so that these files have names: package.json's
 * `browser` takes them out of bundles. The smoke test checks that. `data-worker` is the file of the threads that prepare
 * images. Dependencies and benchmark peers stay outside. Declarations name the library that `Symbol.asyncDispose` is in, which
 * projects for browsers seldom do.
 */
export default defineConfig({
  entry: {
    index: 'src/index.ts',
    node: 'src/node.ts',
    'lab/index': 'src/lab/index.ts',
    'lab/node': 'src/lab/node.ts',
    'cli/main': 'src/cli/main.ts',
    'node/native-device': 'src/devices/native.ts',
    'node/decode-image': 'src/runtime/image/decode-node.ts',
    'node/open-checkpoint': 'src/checkpoints/open.ts',
    'node/data-worker': 'src/data/worker.ts',
  },
  format: 'esm',
  platform: 'node',
  target: 'es2022',
  dts: true,
  banner: { dts: '/// <reference lib="esnext.disposable" />' },
  sourcemap: true,
  skipNodeModulesBundle: true,
  fixedExtension: false,
  logLevel: 'warn',
  checks: { pluginTimings: false },
});
