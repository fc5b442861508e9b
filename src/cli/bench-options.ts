import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';

import type { BenchOptions } from '../bench/engines.ts';
import { PEER_NAMES } from '../bench/peers/index.ts';
import type { PeerName } from '../bench/peers/index.ts';
import type { BenchReport, Measured } from '../bench/report.ts';
import type { WidefieldDevice } from '../bench/widefield.ts';
import { checkWritable } from '../checkpoints/file-sink.ts';
import { writeWhole } from '../checkpoints/write-file.ts';
import { WidefieldError } from '../core/errors.ts';
import type { CommandContext } from './context.ts';
import { defaultThreads, parseDevices, parsePeers, parseSeconds, parseThreads } from './options.ts';
import { openProgress } from './progress.ts';

/** Options of all benchmarks. */
export interface CommonOptions {
  readonly devices?: WidefieldDevice[];
  readonly threads: number;
  readonly peers?: PeerName[];
  readonly python?: string;
  readonly seconds: number;
  readonly tune?: boolean;
  readonly json?: boolean;
}

export function withCommonOptions(command: Command, peers: readonly PeerName[] = PEER_NAMES): Command {
  return command
    .option('--devices <names>', 'native, wasm, or none (default: those that work here)', parseDevices)
    .addOption(
      new Option('--threads <count>', 'for every engine').argParser(parseThreads).default(defaultThreads()),
    )
    .option('--peers <names>', `${peers.join(', ')}; all, or none (default: those installed)`, parsePeers)
    .option('--python <path>', 'the interpreter that has PyTorch (default: the first python3 that has it)')
    .addOption(
      new Option('--seconds <s>', 'least time of each engine and case').argParser(parseSeconds).default(3),
    )
    .option('--tune', 'measure all configurations first, and remember the winners')
    .option('--json', 'print one JSON object');
}

/** Runs a benchmark with a progress bar and remarks on standard error. */
export async function withProgress<T>(
  options: CommonOptions,
  { signal, warn }: CommandContext,
  run: (options: BenchOptions) => Promise<T>,
): Promise<T> {
  const progress = openProgress();
  try {
    return await run({
      ...(options.devices && { devices: options.devices }),
      threads: options.threads,
      seconds: options.seconds,
      tune: options.tune === true,
      ...(options.peers && { peers: options.peers }),
      ...(options.python !== undefined && { python: options.python }),
      signal,
      onWarning: (message) => {
        progress.clear();
        warn(message);
      },
      onProgress: (activity, done) => {
        progress.update(activity, done);
      },
    });
  } finally {
    progress.stop();
  }
}

/** How a report is shown. */
export interface Presentation {
  /** Whether as JSON. */
  readonly json: boolean | undefined;
  /** What is printed as JSON, if that is more than the report. */
  readonly data?: unknown;
  readonly table: () => string;
  readonly plot?: { readonly file: string | undefined; readonly draw: () => Promise<string> };
}

/**
 * Prints a report, and draws what is right of it where a file is named.
 * Throws `unsupported`, with the reasons, if nothing was measured, `io` if the plot cannot be written, and at last
 * `device-lost` if any result is wrong.
 */
export async function presentReport<R extends Measured>(
  report: BenchReport<R>,
  { print, signal }: CommandContext,
  { json = false, data = report, table, plot }: Presentation,
): Promise<void> {
  print(json ? JSON.stringify(data, undefined, 2) : table());
  const { rows, skipped } = report;
  if (rows.length === 0) {
    const reasons = [
      ...new Set(skipped.map(({ engine, reason }) => `${engine}: ${reason.replace(/\.$/, '')}`)),
    ];
    throw new WidefieldError(
      'unsupported',
      `Nothing was measured: ${reasons.join('; ') || 'name engines with --devices or --peers'}.`,
    );
  }
  const wrong = rows.filter((row) => !row.correct);
  if (plot?.file !== undefined && wrong.length < rows.length) {
    await writeWhole(plot.file, [await plot.draw()], signal);
  }
  if (wrong.length === 0) return;
  const names = [...new Set(wrong.map((row) => row.engine))].join(', ');
  throw new WidefieldError('device-lost', `WRONG RESULTS from ${names}: their times mean nothing.`);
}

/** The name of a plot's file, refused before anything is timed. Throws `io` if it cannot be written. */
export function parsePlotName(text: string): string {
  if (!text.toLowerCase().endsWith('.svg')) {
    throw new InvalidArgumentError(`Plots are SVG: give a name that ends in .svg, not ${text}.`);
  }
  checkWritable(text);
  return text;
}
