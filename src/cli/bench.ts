import { Command, Option } from 'commander';

import { runBench } from '../bench/bench.ts';
import { depthwiseCase, pointwiseCase } from '../bench/case.ts';
import type { BenchCase, KernelSize, MapShape } from '../bench/case.ts';
import { PEER_NAMES } from '../bench/peers/index.ts';
import type { PeerName } from '../bench/peers/index.ts';
import type { BenchReport } from '../bench/report.ts';
import type { WidefieldDevice } from '../bench/widefield.ts';
import { WidefieldError } from '../core/errors.ts';
import { formatReport } from './bench-table.ts';
import type { CommandContext } from './context.ts';
import {
  defaultThreads,
  parseCounts,
  parseDevices,
  parseKernels,
  parseMapShapes,
  parsePeers,
  parseRowsShapes,
  parseSeconds,
  parseThreads,
} from './options.ts';
import type { RowsShape } from './options.ts';
import { openProgress } from './progress.ts';

interface CommonOptions {
  readonly devices: WidefieldDevice[];
  readonly threads: number;
  readonly peers?: PeerName[];
  readonly python?: string;
  readonly seconds: number;
  readonly tune?: boolean;
  readonly json?: boolean;
}

interface DepthwiseOptions extends CommonOptions {
  readonly shape?: MapShape[];
  readonly kernels: KernelSize[];
  readonly plot?: string;
}

interface PointwiseOptions extends CommonOptions {
  readonly shape?: RowsShape[];
  readonly outputs?: number[];
}

/** `widefield bench depthwise` and `widefield bench pointwise`. */
export function benchCommand(context: CommandContext): Command {
  return new Command('bench')
    .description('time Widefield beside other runtimes, interleaved, every result checked')
    .addCommand(depthwiseCommand(context))
    .addCommand(pointwiseCommand(context));
}

function depthwiseCommand(context: CommandContext): Command {
  const command = new Command('depthwise')
    .description('depthwise convolutions that keep the size of the map')
    .option('--shape <N,H,W,C>', 'the map; several separated by ";" (default: 1,56,56,128)', parseMapShapes)
    .option(
      '--kernels <sizes>',
      'kernel sizes, such as 7,31,51x5',
      parseKernels,
      parseKernels('3,7,13,31,51'),
    )
    .option('--plot <file.svg>', 'draw time against kernel size');
  return withCommonOptions(command).action(async (options: DepthwiseOptions) => {
    const shapes = options.shape ?? [[1, 56, 56, 128] as const];
    const makers = shapes.flatMap((shape) =>
      options.kernels.map((kernel) => () => depthwiseCase(shape, kernel)),
    );
    const report = await run(makers, options, context);
    if (options.plot !== undefined) await writePlot(report, options.plot);
  });
}

function pointwiseCommand(context: CommandContext): Command {
  const command = new Command('pointwise')
    .description('matrix products: 1×1 convolutions and linear layers')
    .option(
      '--shape <rows,inputs>',
      'rows and inputs, or a map N,H,W,C; several separated by ";" (default: 3136,128)',
      parseRowsShapes,
    )
    .option(
      '--outputs <counts>',
      'output channels, each with each shape, such as 256,512 (default: four times the inputs)',
      parseCounts,
    );
  return withCommonOptions(command).action(async (options: PointwiseOptions) => {
    const shapes = options.shape ?? [{ rows: 3136, inputs: 128 }];
    const makers = shapes.flatMap(({ rows, inputs }) =>
      (options.outputs ?? [4 * inputs]).map((outputs) => () => pointwiseCase(rows, inputs, outputs)),
    );
    await run(makers, options, context);
  });
}

function withCommonOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--devices <names>', 'native, wasm, or none')
        .argParser(parseDevices)
        .default(['native', 'wasm'], 'native,wasm'),
    )
    .addOption(
      new Option('--threads <count>', 'for every engine').argParser(parseThreads).default(defaultThreads()),
    )
    .option(
      '--peers <names>',
      `${PEER_NAMES.join(', ')}; all, or none (default: those installed)`,
      parsePeers,
    )
    .option('--python <path>', 'the interpreter that has PyTorch (default: the first python3 that has it)')
    .addOption(
      new Option('--seconds <s>', 'least time of each engine and case').argParser(parseSeconds).default(3),
    )
    .option('--tune', 'measure all configurations first, and remember the winners')
    .option('--json', 'print one JSON object');
}

async function run(
  makers: readonly (() => BenchCase)[],
  options: CommonOptions,
  { signal, print, warn }: CommandContext,
): Promise<BenchReport> {
  const progress = openProgress();
  let report: BenchReport;
  try {
    report = await runBench(lazily(makers), makers.length, {
      devices: options.devices,
      threads: options.threads,
      seconds: options.seconds,
      tune: options.tune === true,
      ...(options.peers && { peers: options.peers }),
      ...(options.python !== undefined && { python: options.python }),
      signal,
      onWarning: warn,
      onProgress: (activity, done) => {
        progress.update(activity, done);
      },
    });
  } finally {
    progress.stop();
  }
  print(options.json === true ? JSON.stringify(report, undefined, 2) : formatReport(report, options.peers));
  const wrong = report.rows.filter((row) => !row.correct);
  if (wrong.length > 0) {
    const names = [...new Set(wrong.map((row) => row.engine))].join(', ');
    throw new WidefieldError('device-lost', `WRONG RESULTS from ${names}: their times mean nothing.`);
  }
  return report;
}

/** Makes each case's data only when its turn has come. */
function* lazily(makers: readonly (() => BenchCase)[]): Generator<BenchCase> {
  for (const make of makers) yield make();
}

async function writePlot(report: BenchReport, file: string): Promise<void> {
  const [{ writeFile }, { plotReport }] = await Promise.all([
    import('node:fs/promises'),
    import('../bench/plot.ts'),
  ]);
  try {
    await writeFile(file, plotReport(report));
  } catch (error) {
    throw new WidefieldError('io', `The plot cannot be written to ${file}.`, { cause: error });
  }
}
