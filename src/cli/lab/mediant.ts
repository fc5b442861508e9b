import { Command } from 'commander';

import { efficiencyAt, mediantCurve } from '../../lab/mediant.ts';
import { opByteRatio } from '../../lab/devices.ts';
import type { CommandContext } from '../context.ts';
import { parseModel } from '../options.ts';
import { formatNumber, formatTable } from '../table.ts';
import {
  formatPercent,
  modelKernels,
  parsePositive,
  titleOf,
  toJson,
  withKernelOptions,
} from './lab-options.ts';
import type { KernelOptions } from './lab-options.ts';

interface MediantOptions extends KernelOptions {
  readonly to: number;
  readonly step: number;
}

/** `widefield lab mediant`: how wrong one roofline for the whole network is. */
export function mediantCommand({ print }: CommandContext): Command {
  const command = new Command('mediant')
    .description('highest efficiency against op:byte ratios: one roofline for all, and one for each kernel')
    .argument(
      '<models...>',
      'networks such as resnet-101',
      (text: string, previous: readonly string[] = []) => [...previous, parseModel(text)],
    )
    .option('--to <ratio>', 'the largest op:byte ratio', parsePositive, 600)
    .option('--step <ratio>', 'from one ratio to the next', parsePositive, 10);
  return withKernelOptions(command)
    .addHelpText('after', '\nExample:\n  widefield lab mediant resnet-101 efficientnet-b5')
    .action(async (models: readonly string[], options: MediantOptions) => {
      const { to, step } = options;
      const results = (await modelKernels(models, options)).map(({ kernels, ...facts }) => ({
        facts: { ...facts, kernels },
        at: efficiencyAt(kernels, opByteRatio(facts.device, facts.dtype)),
        points: mediantCurve(kernels, { to, step }),
      }));
      if (options.json === true) {
        print(
          toJson(
            results.map(({ facts: { kernels: _, ...facts }, at, points }) => ({ ...facts, at, points })),
          ),
        );
        return;
      }
      const columns = [
        { title: 'op:byte', align: 'right' },
        { title: 'one roofline', align: 'right' },
        { title: 'waterline', align: 'right' },
      ] as const;
      const tables = results.map(({ facts, at, points }) => {
        const rows = points.map((point) => [
          formatNumber(point.opByte),
          formatPercent(point.mediant),
          formatPercent(point.waterline),
        ]);
        const here = `at op:byte ${formatNumber(at.opByte)}: ${formatPercent(at.mediant)}, waterline ${formatPercent(at.waterline)}`;
        return `${titleOf(facts)}\n\n${formatTable(columns, rows)}\n\n${here}`;
      });
      print(tables.join('\n\n'));
    });
}
