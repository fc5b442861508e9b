import { Command, CommanderError } from 'commander';

import { packageVersion } from '../bench/machine.ts';
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
import { watchInterrupts } from './interrupts.ts';
import type { Interrupt } from './interrupts.ts';
import { labCommand } from './lab.ts';
import { runCommand } from './run.ts';
import { runsCommand } from './runs.ts';
import { shapeBiasCommand } from './shape-bias.ts';
import { trainCommand } from './train.ts';

const EXIT_FAILURE = 1;
const EXIT_USAGE = 2;

/**
 * Runs the command line and sets the process's exit code: 0, 1 after an error, 2 for wrong usage, 130 after
 * Ctrl-C, 143 after SIGTERM, 129 after SIGHUP, 141 if nobody reads its output any more. Results go to standard output,
 * one-sentence errors and progress to standard error; errors of both stay handled after it has returned.
 *
 * @param argv as `process.argv`: interpreter, script, arguments
 */
export async function main(argv: readonly string[]): Promise<void> {
  const interrupts = watchInterrupts();
  const program = createProgram({
    signal: interrupts.signal,
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
    process.exitCode = reportError(error, interrupts.first, verbose);
  } finally {
    interrupts.stop();
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
function reportError(error: unknown, interrupt: Interrupt | undefined, verbose: boolean): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE; // already printed
  if (interrupt !== undefined) {
    if (interrupt.message !== undefined) process.stderr.write(`${interrupt.message}\n`);
    return interrupt.code;
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
