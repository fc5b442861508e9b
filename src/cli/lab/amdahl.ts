import { Command } from 'commander';

import { amdahl, amdahlByKind } from '../../lab/amdahl.ts';
import { waterline } from '../../lab/waterline.ts';
import type { CommandContext } from '../context.ts';
import { parseCount, parseModel } from '../options.ts';
import { formatNumber, formatTable } from '../table.ts';
import { formatPercent, modelKernels, titleOf, withKernelOptions } from './lab-options.ts';
import type { KernelOptions } from './lab-options.ts';

interface AmdahlOptions extends KernelOptions {
  readonly top: number;
}

/** `widefield lab amdahl`: which kernel to improve first. */
export function amdahlCommand({ print }: CommandContext): Command {
  const command = new Command('amdahl')
    .description('what the network gains if a memory-bound kernel, or all of a kind, ran at the peak rate')
    .argument('<model>', 'the network, such as efficientnet-b5', parseModel)
    .option('--top <count>', 'kernels to list', (text) => parseCount(text), 20);
  return withKernelOptions(command)
    .addHelpText('after', '\nExample:\n  widefield lab amdahl efficientnet-b5 --device a5000')
    .action(async (model: string, options: AmdahlOptions) => {
      for (const facts of await modelKernels([model], options)) {
        const line = waterline(facts.kernels, facts.device, facts.dtype);
        const [steps, kinds] = [amdahl(line), amdahlByKind(line)];
        if (options.json === true) {
          const { kernels: _, ...rest } = facts;
          const { opByte, minLatencyMs, maxEfficiency } = line;
          print(JSON.stringify({ ...rest, opByte, minLatencyMs, maxEfficiency, steps, kinds }, undefined, 2));
          continue;
        }
        const rows = [...kinds, ...steps.slice(0, options.top)].map((step) => [
          step.name,
          step.kind,
          String(step.count),
          formatPercent(step.memoryShare),
          formatPercent(step.computeShare),
          `×${formatNumber(step.speedup)}`,
        ]);
        const columns = [
          { title: 'make this compute-bound' },
          { title: 'kind' },
          { title: 'kernels', align: 'right' },
          { title: 'of the time', align: 'right' },
          { title: 'then', align: 'right' },
          { title: 'speed-up', align: 'right' },
        ] as const;
        print(`${titleOf(facts)}: ${formatNumber(line.minLatencyMs)} ms\n\n${formatTable(columns, rows)}`);
      }
    });
}
