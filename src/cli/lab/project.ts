import { Command } from 'commander';

import { projectLatency } from '../../lab/project.ts';
import type { Projection } from '../../lab/project.ts';
import { projections } from '../../lab/published.ts';
import type { CommandContext } from '../context.ts';
import { parseModel } from '../options.ts';
import { formatNumber, formatTable } from '../table.ts';
import { formatPercent, resolveDevice, toJson, withBatchOption, withDeviceOptions } from './lab-options.ts';
import type { DeviceOptions } from './lab-options.ts';

interface ProjectOptions extends DeviceOptions {
  readonly batch: number;
}

/** `widefield lab project`: a network's latency from its blocks' efficiencies. */
export function projectCommand({ print }: CommandContext): Command {
  const command = new Command('project')
    .description("a ConvFirst network's latency from the published efficiencies of its blocks")
    .argument(
      '[models...]',
      'networks (default: all four)',
      (text: string, previous: readonly string[] = []) => [...previous, parseModel(text)],
    );
  return withDeviceOptions(withBatchOption(command)).action(
    async (models: readonly string[], { device: name, dtype = 'f16', batch, json }: ProjectOptions) => {
      const device = await resolveDevice(name);
      const chosen = models.length > 0 ? models : projections.rows.map(({ model }) => model);
      const results = chosen.map((model) => {
        const published = projections.rows.find((row) => row.model === model);
        return {
          model,
          batch,
          device,
          ...projectLatency(model, device, { batch, dtype }),
          ...(published && {
            published: { latencyMs: published.latencyMs, percentOfPeak: published.percentOfPeak },
          }),
        };
      });
      print(json === true ? toJson(results) : results.map(format).join('\n\n'));
    },
  );
}

function format(
  result: Projection & { readonly model: string; readonly published?: { readonly latencyMs: number } },
): string {
  const rows = result.layers.map((layer) => [
    layer.name,
    formatNumber(layer.megaOpsPerImage),
    formatPercent(layer.efficiency),
    layer.source,
    formatNumber(layer.timeMs),
  ]);
  const columns = [
    { title: result.model },
    { title: 'Mop/image', align: 'right' },
    { title: 'efficiency', align: 'right' },
    { title: 'which is' },
    { title: 'ms', align: 'right' },
  ] as const;
  const published = result.published === undefined ? '' : ` (published: ${result.published.latencyMs} ms)`;
  return `${formatTable(columns, rows)}\n\n${formatNumber(result.latencyMs)} ms${published}, ${formatPercent(result.efficiency)} of the peak`;
}
