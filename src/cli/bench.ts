import { Command, Option } from 'commander';

import { runBench } from '../bench/bench.ts';
import { depthwiseCase, pointwiseCase } from '../bench/case.ts';
import type { BenchCase, KernelSize, MapShape } from '../bench/case.ts';
import { invalidArgument } from '../core/errors.ts';
import { blockCommand } from './bench-block.ts';
import { compileCommand } from './bench-compile.ts';
import { dataCommand } from './bench-data.ts';
import { modelCommand } from './bench-model.ts';
import { parsePlotName, presentReport, withCommonOptions, withProgress } from './bench-options.ts';
import type { CommonOptions } from './bench-options.ts';
import { formatReport } from './bench-table.ts';
import { trainCommand } from './bench-train.ts';
import type { CommandContext } from './context.ts';
import { parseCounts, parseKernels, parseMapShapes, parseRowsShapes, parseShares } from './options.ts';
import type { RowsShape } from './options.ts';

/** What depthwise convolutions are timed with unless `--kernels` says otherwise. */
const KERNELS = '3,7,13,31,51';

interface DepthwiseOptions extends CommonOptions {
  readonly shape?: MapShape[];
  readonly kernels: KernelSize[];
  readonly sparsity?: number[];
  readonly plot?: string;
}

interface PointwiseOptions extends CommonOptions {
  readonly shape?: RowsShape[];
  readonly outputs?: number[];
}

/** `widefield bench` and its commands. */
export function benchCommand(context: CommandContext): Command {
  return new Command('bench')
    .description('time Widefield beside other runtimes, interleaved, every result checked')
    .addCommand(depthwiseCommand(context))
    .addCommand(pointwiseCommand(context))
    .addCommand(modelCommand(context))
    .addCommand(blockCommand(context))
    .addCommand(trainCommand(context))
    .addCommand(compileCommand(context))
    .addCommand(dataCommand(context));
}

function depthwiseCommand(context: CommandContext): Command {
  const command = new Command('depthwise')
    .description('depthwise convolutions that keep the size of the map')
    .option('--shape <N,H,W,C>', 'the map; several separated by ";" (default: 1,56,56,128)', parseMapShapes)
    .addOption(
      new Option('--kernels <sizes>', 'kernel sizes, such as 7,31,51x5')
        .argParser(parseKernels)
        .default(parseKernels(KERNELS), KERNELS),
    )
    .option(
      '--sparsity <shares>',
      'shares of taps that are zero, such as 0.4,0.9: times direct, sparse and FFT kernels, each for itself',
      parseShares,
    )
    .option('--plot <file.svg>', 'draw time against kernel size', parsePlotName);
  return withCommonOptions(command).action(async (options: DepthwiseOptions) => {
    checkDepthwise(options);
    const shapes = options.shape ?? [[1, 56, 56, 128] as const];
    const makers = shapes.flatMap((shape) =>
      options.kernels.flatMap((kernel) =>
        (options.sparsity ?? [undefined]).map((sparsity) => () => depthwiseCase(shape, kernel, sparsity)),
      ),
    );
    await run(makers, options, context);
  });
}

/** Throws `invalid-argument` for options that do not go together, before anything is timed. */
function checkDepthwise({ kernels, sparsity, tune, plot }: DepthwiseOptions): void {
  if (sparsity !== undefined && tune === true) {
    throw invalidArgument(
      '--tune finds the winner of all kernels, while --sparsity times each for itself: leave one of them out.',
    );
  }
  const isSquare = ({ height, width }: KernelSize): boolean => height === width;
  if (plot !== undefined && (sparsity !== undefined || !kernels.some(isSquare))) {
    throw invalidArgument(
      'A plot shows times against sizes of dense square kernels: name some with --kernels, without --sparsity.',
    );
  }
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

async function run(
  makers: readonly (() => BenchCase)[],
  options: CommonOptions & { readonly plot?: string },
  context: CommandContext,
): Promise<void> {
  const report = await withProgress(options, context, (bench) =>
    runBench(lazily(makers), makers.length, bench),
  );
  await presentReport(report, context, {
    json: options.json,
    table: () => formatReport(report, options.peers),
    plot: { file: options.plot, draw: async () => (await import('../bench/plot.ts')).plotReport(report) },
  });
}

/** Makes each case's data only when its turn has come. */
function* lazily(makers: readonly (() => BenchCase)[]): Generator<BenchCase> {
  for (const make of makers) yield make();
}
