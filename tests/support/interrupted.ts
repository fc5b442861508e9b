import { open, writeSync } from 'node:fs';

import { watchInterrupts } from '../../src/cli/interrupts.ts';

// Run by a process of its own: it never looks at its signal, and a thread waits for somebody to write into a pipe.
const [, , pipe = ''] = process.argv;
const { signal } = watchInterrupts();
process.once('exit', () => {
  writeSync(1, 'cleaned');
});
open(pipe, () => undefined);
signal.addEventListener('abort', () => {
  writeSync(1, 'asked ');
});
setInterval(() => undefined, 1000);
writeSync(1, 'ready ');
