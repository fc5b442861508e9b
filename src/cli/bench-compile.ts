import { Command, Option } from 'commander';

import { runCompileBench } from '../bench/bench-compile.ts';
import type { CompileReport } from '../bench/bench-compile.ts';
import { depthwiseCase } from '../bench/case.ts';
import type { KernelSize, MapShape } from '../bench/case.ts';
import type { WidefieldDevice } from '../bench/widefield.ts';
import { withProgress } from './bench-options.ts';
import { machineLines } from './bench-table.ts';
import type { CommandContext } from './context.ts';
import {
  defaultThreads,
  parseCount,
  parseKernels,
  parseMapShapes,
  parseNamedDevices,
  parseThreads,
} from './options.ts';
import { formatNumber, formatTable, right, withoutRepeats } from './table.ts';
import type { Column } from './table.ts';

const KERNELS = '3,7,13,31,51';

interface CompileCommandOptions {
  readonly shape?: MapShape[];
  readonly kernels: KernelSize[];
  readonly devices?: WidefieldDevice[];
  readonly threads: number;
  readonly runs: number;
  readonly json?: boolean;
}

/** `widefield bench compile`: how long the first result takes, and whether many runs keep memory. */
export function compileCommand(context: CommandContext): Command {
  return new Command('compile')
    .description('time to the first result of depthwise convolutions, and memory over many runs')
    .option('--shape <N,H,W,C>', 'the map; several separated by ";" (default: 1,56,56,128)', parseMapShapes)
    .addOption(
      new Option('--kernels <sizes>', 'kernel sizes, such as 7,31,51x5')
        .argParser(parseKernels)
        .default(parseKernels(KERNELS), KERNELS),
    )
    .option('--devices <names>', 'native, wasm (default: those that work here)', parseNamedDevices)
    .addOption(new Option('--threads <count>').argParser(parseThreads).default(defaultThreads()))
    .addOption(
      new Option('--runs <count>', 'over which resident memory is watched')
        .argParser((text: string) => parseCount(text))
        .default(1000),
    )
    .option('--json', 'print one JSON object')
    .action(async (options: CompileCommandOptions) => {
      const { shape: shapes = [[1, 56, 56, 128] as const], kernels, runs } = options;
      const makers = shapes.flatMap((shape) => kernels.map((kernel) => () => depthwiseCase(shape, kernel)));
      const cases = (function* () {
        for (const make of makers) yield make();
      })();
      const report = await withProgress({ ...options, seconds: 0 }, context, (bench) =>
        runCompileBench(cases, makers.length, { ...bench, runs }),
      );
      context.print(
        options.json === true ? JSON.stringify(report, undefined, 2) : formatCompileReport(report),
      );
    });
}

function formatCompileReport({ rows, machine }: CompileReport): string {
  const columns: Column[] = [
    { title: 'depthwise' },
    { title: 'engine' },
    ...['threads', 'plan ms', 'first ms', 'cached ms', 'runs', 'growth KiB'].map(right),
    { title: 'configuration' },
  ];
  const cells = rows.map((row) => [
    `${row.shape} kernel ${row.kernel}`,
    row.engine,
    String(row.threads),
    formatNumber(row.planMs),
    formatNumber(row.firstMs),
    row.cachedMs === null ? '' : formatNumber(row.cachedMs),
    String(row.runs),
    String(row.growthKiB),
    row.config,
  ]);
  return [
    formatTable(columns, withoutRepeats(cells)),
    '',
    'Plan is choosing a kernel; first is from there to the first result: code, compiler, memory, weights, one run; cached is',
    'the same again, in the same process, with the compiled code on disk. Growth is of resident memory, from the second',
    'tenth of the runs to the last, garbage collected before both.',
    ...machineLines(machine),
  ].join('\n');
}
