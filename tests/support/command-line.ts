import { vi } from 'vitest';

import { main } from '../../src/cli/main.ts';

/** What a command left behind. */
export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs the command line in this process, which keeps its own exit code. */
export async function widefield(...args: string[]): Promise<Outcome> {
  let out = '';
  let err = '';
  const streams = [process.stdout, process.stderr];
  const listeners = streams.map((stream) => stream.listeners('error'));
  const before = process.exitCode;
  process.exitCode = 0;
  const spies = [
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
      out += String(text);
      return true;
    }),
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
      err += String(text);
      return true;
    }),
  ];
  try {
    await main(['node', 'widefield', ...args]);
    return { code: Number(process.exitCode), out, err };
  } finally {
    for (const spy of spies) spy.mockRestore();
    // The command line is one process's, and listens to the end.
    streams.forEach((stream, i) => {
      stream.removeAllListeners('error');
      for (const listener of listeners[i] ?? []) stream.on('error', listener as () => void);
    });
    process.exitCode = before;
  }
}
