import { Command } from 'commander';

import { defaultDtype } from '../../lab/devices.ts';
import { projectLatency } from '../../lab/project.ts';
import type { Projection } from '../../lab/project.ts';
import { projections } from '../../lab/published.ts';
import type { CommandContext } from '../context.ts';
import { modelOf } from '../model-file.ts';
import { parseModel } from '../options.ts';
import { formatNumber, right } from '../table.ts';
import {
  DEFAULT_BATCH,
  DEFAULT_DEVICE,
  formatPercent,
  oneOrList,
  resolveDevice,
  withBatchOption,
  withDeviceOptions,
} from './lab-options.ts';
import type { DeviceOptions } from './lab-options.ts';
import { present } from './present.ts';
import type { LabTable } from './present.ts';

interface ProjectOptions extends DeviceOptions {
  readonly batch: number;
}

/** `widefield lab project`: a network's latency from its blocks' efficiencies. */
export function projectCommand(context: CommandContext): Command {
  const command = new Command('project')
    .description("a ConvFirst network's latency from the published efficiencies of its blocks")
    .argument(
      '[models...]',
      'networks (default: all four)',
      (text: string, previous: readonly string[] = []) => [...previous, parseModel(text)],
    );
  return withDeviceOptions(withBatchOption(command)).action(
    async (models: readonly string[], options: ProjectOptions) => {
      const device = await resolveDevice(options.device, context);
      const { dtype = defaultDtype(device), batch } = options;
      const chosen = models.length > 0 ? models : projections.rows.map(({ model }) => model);
      const results = chosen.map((model) => {
        // Of the paper's device, batch and data type.
        const isPublished = device.name === DEFAULT_DEVICE && batch === DEFAULT_BATCH && dtype === 'f16';
        const published = isPublished ? projections.rows.find((row) => row.model === model) : undefined;
        return {
          model,
          batch,
          device,
          ...projectLatency(modelOf(model), device, { batch, dtype }),
          ...(published && {
            published: { latencyMs: published.latencyMs, percentOfPeak: published.percentOfPeak },
          }),
        };
      });
      await present(context, options, {
        json: oneOrList(results),
        tables: results.map(tableOf),
        plot: async () => {
          const { plotProjections } = await import('../../lab/plots/projection.ts');
          const projections = results.map(({ model, published, ...projection }) => ({
            ...projection,
            title: model,
            ...(published && { publishedMs: published.latencyMs }),
          }));
          const setting = `batch ${batch}, ${dtype}, on ${device.title}`;
          return plotProjections(projections, { title: 'Speed projection', subtitle: [setting] });
        },
      });
    },
  );
}

function tableOf(
  result: Projection & { readonly model: string; readonly published?: { readonly latencyMs: number } },
): LabTable {
  const rows = result.layers.map((layer) => [
    layer.name,
    formatNumber(layer.megaOpsPerImage),
    formatPercent(layer.efficiency),
    layer.source,
    formatNumber(layer.timeMs),
  ]);
  const columns = [
    { title: result.model },
    right('Mop/image'),
    right('efficiency'),
    { title: 'which is' },
    right('ms'),
  ] as const;
  const published = result.published === undefined ? '' : ` (published: ${result.published.latencyMs} ms)`;
  const total = `${formatNumber(result.latencyMs)} ms${published}, ${formatPercent(result.efficiency)} of the peak`;
  return { columns, rows, notes: [total] };
}
