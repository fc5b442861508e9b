import { Command } from 'commander';

import { invalidArgument } from '../../core/errors.ts';
import { defaultDtype } from '../../lab/devices.ts';
import { efficiencyGap, publishedGapInputs } from '../../lab/efficiency.ts';
import type { GapPoint } from '../../lab/efficiency.ts';
import { THIS_DEVICE } from '../../lab/measure-device.ts';
import { measuredGap } from '../../lab/measured.ts';
import { imageNetLatencies } from '../../lab/published.ts';
import type { CommandContext } from '../context.ts';
import { readJson } from '../model-file.ts';
import { formatNumber, right } from '../table.ts';
import { DEFAULT_DEVICE, formatPercent, resolveDevice, withDeviceOptions } from './lab-options.ts';
import type { DeviceOptions } from './lab-options.ts';
import { present } from './present.ts';
import type { LabTable } from './present.ts';

interface GapOptions extends DeviceOptions {
  readonly measured?: string;
  readonly engine?: string;
}

/** `widefield lab gap`: accuracy against ideal and actual latency. */
export function gapCommand(context: CommandContext): Command {
  const command = new Command('gap')
    .description('accuracy against ideal and actual latency: where the time goes')
    .option(
      '--measured <file>',
      'what "bench model … --json" printed, instead of published latencies; the device is then "this" by default',
    )
    .option('--engine <name>', 'whose measurements (default: widefield-native)');
  return withDeviceOptions(command)
    .addHelpText(
      'after',
      '\nExample:\n  widefield bench model resnet-50 --json > bench.json && widefield lab gap --measured bench.json',
    )
    .action(async (options: GapOptions) => {
      const { measured, engine } = options;
      if (measured === undefined && engine !== undefined) {
        throw invalidArgument('--engine picks rows of measurements: say which with --measured <file>.');
      }
      const own = measured === undefined ? undefined : measuredGap(readJson(measured), engine);
      const isOpen = command.getOptionValueSource('device') === 'default';
      const name = measured !== undefined && isOpen ? THIS_DEVICE : options.device;
      const device = await resolveDevice(name, context);
      const { dtype = defaultDtype(device) } = options;
      if (measured === undefined && !(device.name === DEFAULT_DEVICE && dtype === 'f16')) {
        context.warn(
          `The published latencies are those of the ${DEFAULT_DEVICE} in f16: to see ${device.name} in ${dtype}, give its own with --measured.`,
        );
      }
      own?.wrong.forEach((model) => {
        context.warn(`${model} is left out: its result was wrong, so its time means nothing.`);
      });
      own?.withoutAccuracy.forEach((model) => {
        context.warn(`${model} is left out: no accuracy of it at this resolution is on record.`);
      });
      const points = efficiencyGap(own?.inputs ?? publishedGapInputs(), device, dtype);
      const source = measured ?? `${imageNetLatencies.source}: ${imageNetLatencies.setting}`;
      await present(context, options, {
        json: { device, source, points },
        tables: [tableOf(source, points)],
        plot: async () => {
          const { plotGap } = await import('../../lab/plots/gap.ts');
          const peak = `ideal: all operations at the peak rate of ${device.title}`;
          return plotGap(points, { title: 'The efficiency gap', subtitle: [peak], source });
        },
      });
    });
}

function tableOf(title: string, points: readonly GapPoint[]): LabTable {
  const rows = points.map((point) => [
    point.title,
    point.accuracy.toFixed(1),
    formatNumber(point.gmacs),
    formatNumber(point.idealMs),
    formatNumber(point.actualMs),
    formatPercent(point.efficiency),
    point.gap.toFixed(2),
  ]);
  const columns = [
    { title: 'network' },
    right('top-1 %'),
    right('GMAC'),
    right('ideal ms'),
    right('actual ms'),
    right('efficiency'),
    right('gap, decades'),
  ] as const;
  return { title, columns, rows };
}
