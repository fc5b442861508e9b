import { defineConfig } from 'tsdown';

/**
 * Three entries: the library, which browsers may bundle (Node's modules are imported dynamically, by the
 * native device only; the smoke test checks that), what only Node can do, and the command line. Dependencies and
 * benchmark peers stay outside.
 */
export default defineConfig({
  entry: { index: 'src/index.ts', node: 'src/node.ts', 'cli/main': 'src/cli/main.ts' },
  format: 'esm',
  platform: 'node',
  target: 'es2022',
  dts: true,
  sourcemap: true,
  skipNodeModulesBundle: true,
  fixedExtension: false,
  logLevel: 'warn',
  checks: { pluginTimings: false },
});
