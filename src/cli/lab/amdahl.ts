import { Command } from 'commander';

import { amdahl, amdahlByKind } from '../../lab/amdahl.ts';
import type { AmdahlStep } from '../../lab/amdahl.ts';
import { waterline } from '../../lab/waterline.ts';
import type { CommandContext } from '../context.ts';
import { parseCount } from '../options.ts';
import { formatNumber, right } from '../table.ts';
import {
  formatPercent,
  modelKernels,
  networkOf,
  parseNetwork,
  settingOf,
  titleOf,
  withKernelOptions,
} from './lab-options.ts';
import type { KernelOptions } from './lab-options.ts';
import { present } from './present.ts';
import type { LabTable } from './present.ts';

interface AmdahlOptions extends KernelOptions {
  readonly top: number;
}

/** `widefield lab amdahl`: which kernel to improve first. */
export function amdahlCommand(context: CommandContext): Command {
  const command = new Command('amdahl')
    .description('what the network gains if a memory-bound kernel, or all of a kind, ran at the peak rate')
    .argument('<model>', 'the network, such as efficientnet-b5, or an .onnx file', parseNetwork)
    .option('--top <count>', 'kernels to list', (text) => parseCount(text), 20);
  return withKernelOptions(command)
    .addHelpText('after', '\nExample:\n  widefield lab amdahl efficientnet-b5 --device a5000')
    .action(async (model: string, options: AmdahlOptions) => {
      const [facts] = await modelKernels([model], options, context);
      if (facts === undefined) return;
      const line = waterline(facts.kernels, facts.device, facts.dtype);
      const [steps, kinds] = [amdahl(line), amdahlByKind(line)];
      const { kernels: _, ...rest } = facts;
      const { opByte, minLatencyMs, maxEfficiency } = line;
      await present(context, options, {
        json: { ...rest, opByte, minLatencyMs, maxEfficiency, steps, kinds },
        tables: [
          tableOf(`${titleOf(facts)}: ${formatNumber(minLatencyMs)} ms`, [
            ...kinds,
            ...steps.slice(0, options.top),
          ]),
        ],
        plot: async () => {
          const { plotAmdahl } = await import('../../lab/plots/amdahl.ts');
          const title = `What to make compute-bound first: ${networkOf(facts)}`;
          const least = `least latency ${formatNumber(minLatencyMs)} ms, highest efficiency ${formatPercent(maxEfficiency)}`;
          return plotAmdahl(kinds, steps.slice(0, options.top), {
            title,
            subtitle: [settingOf(facts), least],
          });
        },
      });
    });
}

function tableOf(title: string, steps: readonly AmdahlStep[]): LabTable {
  const columns = [
    { title: 'make this compute-bound' },
    { title: 'kind' },
    right('kernels'),
    right('of the time'),
    right('then'),
    right('speed-up'),
  ] as const;
  const rows = steps.map((step) => [
    step.name,
    step.kind,
    String(step.count),
    formatPercent(step.memoryShare),
    formatPercent(step.computeShare),
    `×${formatNumber(step.speedup)}`,
  ]);
  return { title, columns, rows };
}
