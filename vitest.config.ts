import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['tests/**/*.test.ts'],
    // Tests that compile native code wait for a C compiler, which on a busy machine can take a while.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    pool: 'forks',
  },
});
