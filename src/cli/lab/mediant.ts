import { Command } from 'commander';

import { efficiencyAt, mediantCurve } from '../../lab/mediant.ts';
import type { EfficiencyAtRatio } from '../../lab/mediant.ts';
import { opByteRatio } from '../../lab/devices.ts';
import type { CommandContext } from '../context.ts';
import { formatNumber, right } from '../table.ts';
import {
  formatPercent,
  modelKernels,
  networkOf,
  oneOrList,
  parseNetwork,
  parsePositive,
  settingOf,
  titleOf,
  withKernelOptions,
} from './lab-options.ts';
import type { KernelOptions, ModelKernels } from './lab-options.ts';
import { present } from './present.ts';
import type { LabTable } from './present.ts';

interface MediantOptions extends KernelOptions {
  readonly to: number;
  readonly step: number;
}

/** `widefield lab mediant`: how wrong one roofline for the whole network is. */
export function mediantCommand(context: CommandContext): Command {
  const command = new Command('mediant')
    .description('highest efficiency against op:byte ratios: one roofline for all, and one for each kernel')
    .argument(
      '<models...>',
      'networks such as resnet-101, or .onnx files',
      (text: string, previous: readonly string[] = []) => [...previous, parseNetwork(text)],
    )
    .option('--to <ratio>', 'the largest op:byte ratio', parsePositive, 600)
    .option('--step <ratio>', 'from one ratio to the next', parsePositive, 10);
  return withKernelOptions(command)
    .addHelpText('after', '\nExample:\n  widefield lab mediant resnet-101 efficientnet-b5')
    .action(async (models: readonly string[], options: MediantOptions) => {
      const { to, step } = options;
      const results = (await modelKernels(models, options, context)).map((facts): Result => {
        const at = efficiencyAt(facts.kernels, opByteRatio(facts.device, facts.dtype));
        return { facts, at, points: mediantCurve(facts.kernels, { to, step }) };
      });
      await present(context, options, {
        json: oneOrList(
          results.map(({ facts: { kernels: _, ...facts }, at, points }) => ({ ...facts, at, points })),
        ),
        tables: results.map(tableOf),
        plot: async () => {
          const { plotMediant } = await import('../../lab/plots/mediant.ts');
          const curves = results.map(({ facts, points }) => ({ title: networkOf(facts), points }));
          const [first] = results;
          const how = 'solid: one roofline for each kernel (waterline); dashed: one for the whole (mediant)';
          return plotMediant(curves, {
            title: 'Highest efficiency against op:byte',
            subtitle: [...(first === undefined ? [] : [settingOf(first.facts)]), how],
            ...(first !== undefined && { opByte: first.at.opByte }),
          });
        },
      });
    });
}

interface Result {
  readonly facts: ModelKernels;
  /** At the device's own ratio. */
  readonly at: EfficiencyAtRatio;
  readonly points: readonly EfficiencyAtRatio[];
}

function tableOf({ facts, at, points }: Result): LabTable {
  const columns = [right('op:byte'), right('one roofline'), right('waterline')] as const;
  const rows = points.map((point) => [
    formatNumber(point.opByte),
    formatPercent(point.mediant),
    formatPercent(point.waterline),
  ]);
  const here = `at op:byte ${formatNumber(at.opByte)}: ${formatPercent(at.mediant)}, waterline ${formatPercent(at.waterline)}, every byte from DRAM`;
  return { title: titleOf(facts), columns, rows, notes: [here] };
}
