import { Command } from 'commander';

import { kernelScaling, slakTables } from '../../lab/scaling.ts';
import type { Size } from '../../lab/scaling.ts';
import { findDevice } from '../../lab/devices.ts';
import { depthwiseBounds, throughputBounds } from '../../lab/throughput.ts';
import type { CommandContext } from '../context.ts';
import { parseCounts } from '../options.ts';
import { formatNumber, formatTable } from '../table.ts';
import { formatPercent } from './lab-options.ts';

interface ScalingOptions {
  readonly kernels?: readonly number[];
  readonly json?: boolean;
}

/** Where SLaK's speeds were measured. */
const PUBLISHED_DEVICE = 'a100';

/** `widefield lab scaling`: what kernel size costs. */
export function scalingCommand({ print }: CommandContext): Command {
  return new Command('scaling')
    .description("parameters and multiply-accumulates as ConvNeXt-T's kernels grow, and SLaK's tables")
    .option('--kernels <sizes>', 'odd kernel sizes from 7 on, such as 7,31,51', (text) => parseCounts(text))
    .option('--json', 'print one JSON object')
    .action(({ kernels, json }: ScalingOptions) => {
      const sweep = kernelScaling(kernels);
      const tables = slakTables();
      const a100 = findDevice(PUBLISHED_DEVICE);
      const throughput = throughputBounds(a100);
      const depthwise = depthwiseBounds(a100);
      if (json === true) {
        print(JSON.stringify({ sweep, tables, throughput, depthwise }, undefined, 2));
        return;
      }
      const size = ({ parameters, macs }: Size): string[] => [
        (parameters / 1e6).toFixed(1),
        (macs / 1e9).toFixed(2),
      ];
      const right = (title: string) => ({ title, align: 'right' }) as const;
      const figures = (title: string) => [right(`${title} M`), right('GMAC')];
      print(
        [
          formatTable(
            [{ title: 'kernels' }, ...figures('full'), ...figures('decomposed'), ...figures('sparse 0.40')],
            sweep.map((point) => [
              point.kernels.join('-'),
              ...size(point.full),
              ...size(point.decomposed),
              ...size(point.sparse),
            ]),
          ),
          formatTable(
            [
              { title: 'SLaK, Tables 1, 2, 3, 8' },
              ...figures('computed'),
              ...figures('printed'),
              right('ΔM'),
              right('ΔGMAC'),
            ],
            tables.map(({ name, published, difference, ...computed }) => [
              name,
              ...size(computed),
              String(published.parametersM),
              published.gmacs.toFixed(1),
              `${(100 * difference.parameters).toFixed(1)}%`,
              `${(100 * difference.macs).toFixed(1)}%`,
            ]),
          ),
          formatTable(
            [{ title: 'A100, f32' }, right('images/s'), right('at most'), right('share')],
            throughput.map(({ title, measured, bound, share }) => [
              title,
              formatNumber(measured),
              formatNumber(bound),
              formatPercent(share),
            ]),
          ),
          formatTable(
            [
              { title: 'depthwise 51×51 on (64, 384, R, R)' },
              ...[right('cuDNN ms'), right('at least'), right('51×5 + 5×51 ms'), right('at least')],
            ],
            depthwise.map((row) => [
              `R = ${row.size}`,
              formatNumber(row.fullMs),
              formatNumber(row.fullBoundMs),
              formatNumber(row.decomposedMs),
              formatNumber(row.decomposedBoundMs),
            ]),
          ),
        ].join('\n\n'),
      );
    });
}
