import { constants } from 'node:os';

import { explain } from '../core/explain.ts';

/** What ends the work from outside: Ctrl-C, a request such as `docker stop`, and a terminal that is closed. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** Milliseconds within which an interrupt counts as the same: launchers pass on the one that the terminal sent to all. */
const SAME_INTERRUPT = 500;
/** 128 + the number of SIGPIPE, which not all systems have. */
const BROKEN_PIPE: Interrupt = { code: 141 };

/** Why a command ends before it is done. */
export interface Interrupt {
  /** Exit code that shells know it by. */
  readonly code: number;
  /** What to say; undefined if that is said already, or if nobody reads it. */
  readonly message?: string;
}

export interface InterruptWatch {
  /** Fires at the first interrupt. */
  readonly signal: AbortSignal;
  /** The first interrupt so far. */
  readonly first: Interrupt | undefined;
  /** Gives signals back to the system. Errors of standard output and standard error stay handled. */
  stop(): void;
}

/**
 * Makes an interrupt of signals, of a reader who has gone and of standard output that takes no more, which sets the
 * process's exit code too. A second signal ends the process at once.
 */
export function watchInterrupts(): InterruptWatch {
  const controller = new AbortController();
  let first: Interrupt | undefined;
  let signalledAt: number | undefined;
  const interrupt = (cause: Interrupt): void => {
    first ??= cause;
    controller.abort();
  };
  const onSignal = (name: NodeJS.Signals): void => {
    const code = 128 + constants.signals[name];
    signalledAt ??= performance.now();
    if (performance.now() - signalledAt > SAME_INTERRUPT) endAtOnce(name, code); // asked twice
    interrupt({ code, message: name === 'SIGINT' ? 'Interrupted.' : `Interrupted by ${name}.` });
  };
  const handlers = SIGNALS.map((name) => [name, () => onSignal(name)] as const);
  for (const [name, handler] of handlers) process.on(name, handler);
  const onOutputError = (cause: Interrupt): void => {
    interrupt(cause);
    process.exitCode = first?.code;
  };
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // A reader such as `head` that has seen enough ends the work as Ctrl-C does, and so does a full disk.
    if (error.code !== 'EPIPE' && first === undefined) {
      process.stderr.write(`Results cannot be written to standard output: ${explain(error)}.\n`);
    }
    onOutputError(error.code === 'EPIPE' ? BROKEN_PIPE : { code: 1 });
  });
  process.stderr.on('error', (error: NodeJS.ErrnoException) => {
    // Without a place for remarks and progress, results are as good.
    if (error.code === 'EPIPE') onOutputError(BROKEN_PIPE);
  });
  return {
    signal: controller.signal,
    get first() {
      return first;
    },
    stop() {
      for (const [name, handler] of handlers) process.off(name, handler);
    },
  };
}

/** Ends the process by the signal itself: `process.exit` waits for threads, and one may read what never comes. */
function endAtOnce(name: NodeJS.Signals, code: number): never {
  process.emit('exit', code); // takes temporary files away, and brings the cursor back
  process.removeAllListeners(name);
  process.kill(process.pid, name);
  process.exit(code); // the first process of a container, which no such signal ends
}
