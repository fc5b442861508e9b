import { Command, Option } from 'commander';

import { waterline } from '../../lab/waterline.ts';
import type { Waterline } from '../../lab/waterline.ts';
import type { CommandContext } from '../context.ts';
import { parseModel } from '../options.ts';
import { formatNumber, right } from '../table.ts';
import {
  formatPercent,
  modelKernels,
  networkOf,
  oneOrList,
  settingOf,
  titleOf,
  withKernelOptions,
} from './lab-options.ts';
import type { KernelOptions, ModelKernels } from './lab-options.ts';
import { present } from './present.ts';
import type { LabTable } from './present.ts';

interface WaterlineOptions extends KernelOptions {
  readonly scale: 'log' | 'linear';
}

/** `widefield lab waterline`: each kernel's least time, and what the whole can attain. */
export function waterlineCommand(context: CommandContext): Command {
  const command = new Command('waterline')
    .description(
      "each kernel's intensity and least time, and the network's least latency and highest efficiency",
    )
    .argument(
      '<models...>',
      'networks such as resnet-101',
      (text: string, previous: readonly string[] = []) => [...previous, parseModel(text)],
    );
  return withKernelOptions(command)
    .addOption(
      new Option('--scale <type>', "of the drawing's intensities").choices(['log', 'linear']).default('log'),
    )
    .addHelpText(
      'after',
      '\nExample:\n  widefield lab waterline efficientnet-b5 convfirst-small --device a5000',
    )
    .action(async (models: readonly string[], options: WaterlineOptions) => {
      const results = (await modelKernels(models, options)).map((facts) => ({
        facts,
        line: waterline(facts.kernels, facts.device, facts.dtype),
      }));
      await present(context, options, {
        json: oneOrList(results.map(({ facts, line }) => ({ ...facts, ...line }))),
        tables: results.flatMap(({ facts, line }) => tablesOf(facts, line)),
        plot: async () => {
          const { plotWaterlines } = await import('../../lab/plots/waterline.ts');
          const lines = results.map(({ facts, line }) => ({ title: networkOf(facts), line }));
          const [first] = results;
          return plotWaterlines(lines, {
            title: 'Waterline',
            subtitle: first === undefined ? [] : [settingOf(first.facts)],
            scale: options.scale,
          });
        },
      });
    });
}

function tablesOf(facts: ModelKernels, line: Waterline): LabTable[] {
  const rows = line.kernels.map((kernel) => [
    kernel.name,
    kernel.kind,
    formatNumber(kernel.ops / 1e9),
    formatNumber(kernel.bytes / 1e6),
    formatNumber(kernel.intensity),
    formatNumber(kernel.timeUs),
    kernel.underwater ? 'memory' : '',
  ]);
  return [
    {
      title: titleOf(facts),
      columns: [
        { title: 'kernel' },
        { title: 'kind' },
        right('Gop'),
        right('MB'),
        right('op/byte'),
        right('least µs'),
        { title: 'bound' },
      ],
      rows,
    },
    {
      columns: [{ title: '' }, right('')],
      rows: [
        ['op:byte of the device', formatNumber(line.opByte)],
        ['least latency, ms', formatNumber(line.minLatencyMs)],
        ['highest efficiency', formatPercent(line.maxEfficiency)],
        ['time bound by memory', formatPercent(line.underwaterShare)],
      ],
    },
  ];
}
