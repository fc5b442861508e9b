#!/usr/bin/env node
import { existsSync } from 'node:fs';

const program = new URL('../dist/cli/main.js', import.meta.url);

// Who reads our output, such as `head`, may have had enough.
process.stdout.on('error', (error) => {
  if (error.code === 'EPIPE') process.exit();
  throw error;
});

if (existsSync(program)) {
  const { main } = await import(program.href);
  await main(process.argv);
} else {
  process.stderr.write('Widefield is not built yet: run `npm install` in its folder.\n');
  process.exitCode = 1;
}
