import { Command } from 'commander';

import { waterline } from '../../lab/waterline.ts';
import type { Waterline } from '../../lab/waterline.ts';
import type { CommandContext } from '../context.ts';
import { parseModel } from '../options.ts';
import { formatNumber, formatTable } from '../table.ts';
import { formatPercent, modelKernels, titleOf, toJson, withKernelOptions } from './lab-options.ts';
import type { KernelOptions, ModelKernels } from './lab-options.ts';

/** `widefield lab waterline`: each kernel's least time, and what the whole can attain. */
export function waterlineCommand({ print }: CommandContext): Command {
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
    .addHelpText(
      'after',
      '\nExample:\n  widefield lab waterline efficientnet-b5 convfirst-small --device a5000',
    )
    .action(async (models: readonly string[], options: KernelOptions) => {
      const results = (await modelKernels(models, options)).map((facts) => ({
        facts,
        line: waterline(facts.kernels, facts.device, facts.dtype),
      }));
      print(
        options.json === true
          ? toJson(results.map(({ facts, line }) => ({ ...facts, ...line })))
          : results.map(({ facts, line }) => format(facts, line)).join('\n\n'),
      );
    });
}

function format(facts: ModelKernels, line: Waterline): string {
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
    titleOf(facts),
    '',
    formatTable(
      [
        { title: 'kernel' },
        { title: 'kind' },
        { title: 'Gop', align: 'right' },
        { title: 'MB', align: 'right' },
        { title: 'op/byte', align: 'right' },
        { title: 'least µs', align: 'right' },
        { title: 'bound' },
      ],
      rows,
    ),
    '',
    formatTable(
      [{ title: '' }, { title: '', align: 'right' }],
      [
        ['op:byte of the device', formatNumber(line.opByte)],
        ['least latency, ms', formatNumber(line.minLatencyMs)],
        ['highest efficiency', formatPercent(line.maxEfficiency)],
        ['time bound by memory', formatPercent(line.underwaterShare)],
      ],
    ).trimStart(),
  ].join('\n');
}
