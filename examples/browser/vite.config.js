import { fileURLToPath } from 'node:url';

/**
 * WebAssembly runs on several threads only where memory may be shared, and browsers allow that only to pages that are
 * served with these two headers. Without them everything works, on one thread.
 */
const headers = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

/** @type {import('vite').UserConfig} */
export default {
  root: import.meta.dirname,
  // The photos, and the package itself, are outside of this folder.
  server: { headers, fs: { allow: [fileURLToPath(new URL('../..', import.meta.url))] } },
  preview: { headers },
  build: { target: 'es2022' },
};
