import { Command, CommanderError } from 'commander';

import { packageVersion } from '../bench/machine.ts';
import { explain } from '../checkpoints/file-source.ts';
import { WidefieldError } from '../core/errors.ts';
import { benchCommand } from './bench.ts';
import { classifyCommand } from './classify.ts';
import type { CommandContext } from './context.ts';
import { convertCommand } from './convert.ts';
import { dataCommand } from './data.ts';
import { demoCommand } from './demo.ts';
import { describeCommand } from './describe.ts';
import { doctorCommand } from './doctor.ts';
import { erfCommand } from './erf.ts';
import { evalCommand } from './eval.ts';
import { exportCommand } from './export.ts';
import { labCommand } from './lab.ts';
import { runCommand } from './run.ts';
import { runsCommand } from './runs.ts';
import { shapeBiasCommand } from './shape-bias.ts';
import { trainCommand } from './train.ts';

const EXIT_FAILURE = 1;
const EXIT_USAGE = 2;
/** 128 + the number of SIGINT. */
const EXIT_INTERRUPTED = 130;
/** Milliseconds within which an interrupt counts as the same: launchers pass on the one that the terminal sent to all. */
const SAME_INTERRUPT = 500;
/** 128 + the number of SIGPIPE. */
const EXIT_BROKEN_PIPE = 141;

/**
 * Runs the command line and sets the process's exit code: 0, 1 after an error, 2 for wrong usage, 130 after
 * Ctrl-C, 141 if nobody reads its output any more. Results go to standard output, one-sentence errors and progress to standard error.
 * Errors of both stay handled after it has returned.
 *
 * @param argv as `process.argv`: interpreter, script, arguments
 */
export async function main(argv: readonly string[]): Promise<void> {
  const interrupt = new AbortController();
  let interruptedAt: number | undefined;
  const onInterrupt = (): void => {
    interruptedAt ??= performance.now();
    if (performance.now() - interruptedAt > SAME_INTERRUPT) process.exit(EXIT_INTERRUPTED); // asked twice: at once
    interrupt.abort();
  };
  process.on('SIGINT', onInterrupt);
  let outputCode: number | undefined;
  const endOutput = (code: number): void => {
    outputCode ??= code;
    process.exitCode = outputCode;
    interrupt.abort();
  };
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // A reader such as `head` that has seen enough ends the work as Ctrl-C does, and so does a full disk.
    if (error.code !== 'EPIPE' && outputCode === undefined) {
      process.stderr.write(`Results cannot be written to standard output: ${explain(error)}.\n`);
    }
    endOutput(error.code === 'EPIPE' ? EXIT_BROKEN_PIPE : EXIT_FAILURE);
  });
  process.stderr.on('error', (error: NodeJS.ErrnoException) => {
    // Without a place for remarks and progress, results are as good.
    if (error.code === 'EPIPE') endOutput(EXIT_BROKEN_PIPE);
  });
  const program = createProgram({
    signal: interrupt.signal,
    print: (text) => process.stdout.write(`${text}\n`),
    write: (piece) => process.stdout.write(piece),
    warn: (text) => process.stderr.write(`${text}\n`),
    fail: () => {
      process.exitCode = EXIT_FAILURE;
    },
  });
  try {
    await program.parseAsync([...argv]);
  } catch (error) {
    const verbose = program.opts<{ verbose?: boolean }>().verbose === true;
    process.exitCode = outputCode ?? reportError(error, interrupt.signal.aborted, verbose);
  } finally {
    process.off('SIGINT', onInterrupt);
  }
}

function createProgram(context: CommandContext): Command {
  const program = new Command('widefield')
    .description('Runs large-kernel ConvNets at hardware speed, and shows how fast.')
    .version(packageVersion())
    .option('--verbose', 'show where errors come from')
    .exitOverride()
    .configureOutput({
      outputError: (text, write) => {
        write(text.replace(/^error: /, ''));
      },
    });
  const commands = [
    demoCommand,
    classifyCommand,
    runCommand,
    describeCommand,
    convertCommand,
    exportCommand,
    dataCommand,
    trainCommand,
    runsCommand,
    evalCommand,
    shapeBiasCommand,
    erfCommand,
    benchCommand,
    labCommand,
    doctorCommand,
  ].map((create) => create(context));
  for (const command of commands) {
    inheritSettings(command, program);
    program.addCommand(command);
  }
  return program;
}

/** Commander copies settings to subcommands that are made by `command`, not to added ones. */
function inheritSettings(command: Command, from: Command): void {
  command.copyInheritedSettings(from);
  for (const each of command.commands) inheritSettings(each, from);
}

/** Prints the error and returns the exit code that belongs to it. */
function reportError(error: unknown, interrupted: boolean, verbose: boolean): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE; // already printed
  if (interrupted) {
    process.stderr.write('Interrupted.\n');
    return EXIT_INTERRUPTED;
  }
  const message = error instanceof Error ? error.message : String(error);
  const isExpected = error instanceof WidefieldError;
  const hint = isExpected || verbose ? '' : ' (unexpected: add --verbose to see where it comes from)';
  process.stderr.write(`${message}${hint}\n`);
  if (verbose && error instanceof Error) {
    process.stderr.write(`${error.stack ?? ''}\n`);
    if (error.cause instanceof Error) process.stderr.write(`Caused by: ${error.cause.stack ?? ''}\n`);
  }
  return EXIT_FAILURE;
}
