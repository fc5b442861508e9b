import { Argument, Command } from 'commander';

import { BLOCK_KINDS, blockGraph, blockName } from '../../lab/block-case.ts';
import type { BlockCase, BlockKind } from '../../lab/block-case.ts';
import { blockCost, kernelCosts } from '../../lab/costs.ts';
import { defaultDtype } from '../../lab/devices.ts';
import { waterline } from '../../lab/waterline.ts';
import type { CommandContext } from '../context.ts';
import { parseCount } from '../options.ts';
import { formatNumber, right } from '../table.ts';
import { formatPercent, resolveDevice, withBatchOption, withDeviceOptions } from './lab-options.ts';
import type { DeviceOptions } from './lab-options.ts';
import { present } from './present.ts';
import type { LabTable } from './present.ts';

interface BlockOptions extends DeviceOptions {
  readonly channels: number;
  readonly expansion: number;
  readonly size: number;
  readonly stride: number;
  readonly outputs?: number;
  readonly batch: number;
}

/** `widefield lab block`: what fusing one block buys. */
export function blockCommand(context: CommandContext): Command {
  const count = (text: string): number => parseCount(text, 2 ** 16);
  const command = new Command('block')
    .description('the least time of a block, layer by layer and fused into one kernel')
    .addArgument(new Argument('<kind>', 'which block').choices(BLOCK_KINDS))
    .requiredOption('--channels <count>', "of the block's input", count)
    .requiredOption('--expansion <factor>', 'hidden channels for each channel', count)
    .requiredOption('--size <pixels>', "height and width of the block's input", count)
    .option('--stride <pixels>', '1, or 2 without a shortcut', (text) => parseCount(text, 2), 1)
    .option('--outputs <count>', 'output channels (default: as many as input channels)', count);
  return withDeviceOptions(withBatchOption(command))
    .addHelpText(
      'after',
      '\nExample:\n  widefield lab block convfirst --channels 16 --expansion 3 --size 128',
    )
    .action(async (kind: BlockKind, options: BlockOptions) => {
      const { lines, ...result } = await compareBlock({ kind, ...options }, options, context);
      await present(context, options, {
        json: result,
        tables: [tableOf(result)],
        plot: async () => {
          const { plotWaterlines } = await import('../../lab/plots/waterline.ts');
          const title = `${result.kind} ${result.block}: fused ×${formatNumber(result.speedup)} faster at best`;
          return plotWaterlines(lines, { title, subtitle: [settingOf(result)], sameTime: true });
        },
      });
    });
}

async function compareBlock(
  { kind, channels, expansion, size, stride, outputs = channels, batch }: BlockCase,
  options: DeviceOptions,
  context: CommandContext,
) {
  const device = await resolveDevice(options.device, context);
  const { dtype = defaultDtype(device) } = options;
  const block = { kind, channels, expansion, size, stride: stride ?? 1, outputs, batch: batch ?? 1 };
  const graph = blockGraph(block);
  const layerWise = waterline(kernelCosts(graph, { dtype }), device, dtype);
  const fused = waterline([blockCost(graph, dtype)], device, dtype);
  return {
    device,
    block: blockName(block),
    ...block,
    dtype,
    opByte: layerWise.opByte,
    layerWiseUs: 1e3 * layerWise.minLatencyMs,
    fusedUs: 1e3 * fused.minLatencyMs,
    speedup: layerWise.minLatencyMs / fused.minLatencyMs,
    layerWise: layerWise.kernels,
    fused: fused.kernels,
    layerWiseMaxEfficiency: layerWise.maxEfficiency,
    fusedMaxEfficiency: fused.maxEfficiency,
    lines: [
      { title: 'layer-wise', line: layerWise },
      { title: 'fused', line: fused },
    ],
  };
}

type BlockResult = Omit<Awaited<ReturnType<typeof compareBlock>>, 'lines'>;

function settingOf({ stride, batch, dtype, device }: BlockResult): string {
  return `stride ${stride}, batch ${batch}, ${dtype}, on ${device.title}`;
}

function tableOf(result: BlockResult): LabTable {
  const rows = [
    ...result.layerWise.map((kernel) => ['layer-wise', kernel] as const),
    ...result.fused.map((kernel) => ['fused', kernel] as const),
  ].map(([how, kernel]) => [
    how,
    kernel.name,
    kernel.kind,
    formatNumber(kernel.intensity),
    formatNumber(kernel.timeUs),
    kernel.underwater ? 'memory' : '',
  ]);
  const columns = [
    { title: '' },
    { title: 'kernel' },
    { title: 'kind' },
    right('op/byte'),
    right('least µs'),
    { title: 'bound' },
  ] as const;
  return {
    title: `${result.kind} ${result.block}, ${settingOf(result)}`,
    columns,
    rows,
    notes: [
      `layer-wise ${formatNumber(result.layerWiseUs)} µs, at most ${formatPercent(result.layerWiseMaxEfficiency)} of the peak`,
      `fused ${formatNumber(result.fusedUs)} µs, at most ${formatPercent(result.fusedMaxEfficiency)} of the peak: ×${formatNumber(result.speedup)}`,
    ],
  };
}
