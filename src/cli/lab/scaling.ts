import { Command } from 'commander';

import { kernelScaling, slakTables } from '../../lab/scaling.ts';
import type { ScalingPoint, Size, SizeComparison } from '../../lab/scaling.ts';
import { findDevice } from '../../lab/devices.ts';
import { slakSizes } from '../../lab/published.ts';
import { depthwiseBounds, throughputBounds } from '../../lab/throughput.ts';
import type { DepthwiseBound, ThroughputBound } from '../../lab/throughput.ts';
import type { CommandContext } from '../context.ts';
import { parseCounts } from '../options.ts';
import { formatNumber, right } from '../table.ts';
import { formatPercent } from './lab-options.ts';
import { present, withOutputOptions } from './present.ts';
import type { LabTable, OutputOptions } from './present.ts';

interface ScalingOptions extends OutputOptions {
  readonly kernels?: readonly number[];
}

/** Where SLaK's speeds were measured. */
const PUBLISHED_DEVICE = 'a100';

/** `widefield lab scaling`: what kernel size costs. */
export function scalingCommand(context: CommandContext): Command {
  const command = new Command('scaling')
    .description("parameters and multiply-accumulates as ConvNeXt-T's kernels grow, and SLaK's tables")
    .option('--kernels <sizes>', 'odd kernel sizes from 7 on, such as 7,31,51', (text) => parseCounts(text));
  return withOutputOptions(command)
    .addHelpText('after', '\nExample:\n  widefield lab scaling --kernels 7,31,51,101,151 --out scaling.svg')
    .action(async (options: ScalingOptions) => {
      const sweep = kernelScaling(options.kernels);
      const tables = slakTables();
      const a100 = findDevice(PUBLISHED_DEVICE);
      const throughput = throughputBounds(a100);
      const depthwise = depthwiseBounds(a100);
      await present(context, options, {
        json: { sweep, tables, throughput, depthwise },
        tables: [
          sweepTable(sweep),
          sizeTable(tables),
          throughputTable(throughput),
          depthwiseTable(depthwise),
        ],
        plot: async () => {
          const { plotScaling } = await import('../../lab/plots/scaling.ts');
          const title = 'What large kernels cost: ConvNeXt-T with full and decomposed kernels';
          return plotScaling(sweep, { title, source: slakSizes.source });
        },
      });
    });
}

function size({ parameters, macs }: Size): string[] {
  return [(parameters / 1e6).toFixed(1), (macs / 1e9).toFixed(2)];
}

const figures = (title: string) => [right(`${title} M`), right('GMAC')];

function sweepTable(sweep: readonly ScalingPoint[]): LabTable {
  return {
    columns: [{ title: 'kernels' }, ...figures('full'), ...figures('decomposed'), ...figures('sparse 0.40')],
    rows: sweep.map(({ kernels, full, decomposed, sparse }) => [
      kernels.join('-'),
      ...[full, decomposed, sparse].flatMap(size),
    ]),
  };
}

function sizeTable(tables: readonly SizeComparison[]): LabTable {
  return {
    columns: [
      { title: 'SLaK, Tables 1, 2, 3, 8' },
      ...figures('computed'),
      ...figures('printed'),
      right('ΔM'),
      right('ΔGMAC'),
    ],
    rows: tables.map(({ name, published, difference, ...computed }) => [
      name,
      ...size(computed),
      String(published.parametersM),
      published.gmacs.toFixed(1),
      `${(100 * difference.parameters).toFixed(1)}%`,
      `${(100 * difference.macs).toFixed(1)}%`,
    ]),
  };
}

function throughputTable(throughput: readonly ThroughputBound[]): LabTable {
  return {
    columns: [{ title: 'A100, f32' }, right('images/s'), right('at most'), right('share')],
    rows: throughput.map(({ title, measured, bound, share }) => [
      title,
      formatNumber(measured),
      formatNumber(bound),
      formatPercent(share),
    ]),
  };
}

function depthwiseTable(depthwise: readonly DepthwiseBound[]): LabTable {
  return {
    columns: [
      { title: 'depthwise 51×51 on (64, 384, R, R)' },
      ...[right('cuDNN ms'), right('at least'), right('51×5 + 5×51 ms'), right('at least')],
    ],
    rows: depthwise.map((row) => [
      `R = ${row.size}`,
      formatNumber(row.fullMs),
      formatNumber(row.fullBoundMs),
      formatNumber(row.decomposedMs),
      formatNumber(row.decomposedBoundMs),
    ]),
  };
}
