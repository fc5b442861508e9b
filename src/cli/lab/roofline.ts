import { Command } from 'commander';

import { largeKernelStudy } from '../../lab/large-kernels.ts';
import type { LargeKernelStudy } from '../../lab/large-kernels.ts';
import type { RooflinePoint } from '../../lab/roofline.ts';
import type { CommandContext } from '../context.ts';
import { parseCounts } from '../options.ts';
import { formatNumber, right } from '../table.ts';
import { resolveDevice, withDeviceOptions } from './lab-options.ts';
import type { DeviceOptions } from './lab-options.ts';
import { present } from './present.ts';
import type { LabTable } from './present.ts';

interface RooflineOptions extends DeviceOptions {
  readonly kernels?: readonly number[];
  readonly memory?: string;
}

/** `widefield lab roofline`: why large depthwise kernels can cost almost nothing. */
export function rooflineCommand(context: CommandContext): Command {
  const command = new Command('roofline')
    .description('dense and depthwise convolutions under the roofline, as kernels grow')
    .option('--kernels <sizes>', 'kernel sizes, such as 3,7,31 (default: 3 to 31)', (text) =>
      parseCounts(text),
    )
    .option(
      '--memory <name>',
      'whose bandwidth counts: DRAM, or a cache of the record (default: L2 if it is known)',
    );
  return withDeviceOptions(command, 'rtx-2080-ti', 'f32')
    .addHelpText('after', '\nExample:\n  widefield lab roofline --device rtx-2080-ti')
    .action(async (options: RooflineOptions) => {
      const { device: name, dtype, kernels, memory } = options;
      const device = await resolveDevice(name, context);
      const study = largeKernelStudy(device, {
        ...(dtype && { dtype }),
        ...(kernels && { kernels }),
        ...(memory !== undefined && { memory }),
      });
      const setting = `${device.title}, ${study.dtype}: ${formatNumber(study.peak / 1e12)} TFLOP/s, ${study.memory} ${formatNumber(study.bandwidth / 1e9)} GB/s, ridge ${study.ridge.toFixed(3)} op/byte`;
      await present(context, options, {
        json: { device, ...study },
        tables: [tableOf(setting, study)],
        plot: async () => {
          const { plotLargeKernels } = await import('../../lab/plots/roofline.ts');
          const title = 'Dense and depthwise convolutions under the roofline';
          return plotLargeKernels(study, { title, subtitle: [setting] });
        },
      });
    });
}

function tableOf(title: string, study: LargeKernelStudy): LabTable {
  const row = (point: RooflinePoint, times: readonly string[]): string[] => [
    point.name,
    formatNumber(point.intensity),
    formatNumber(point.attainable / 1e12),
    point.bound,
    ...times,
  ];
  const rows = [
    row(study.dense, []),
    ...study.im2col.map((point) => row(point, [])),
    ...study.direct.map((point) => row(point, [formatNumber(point.timeUs), formatNumber(point.im2colUs)])),
  ];
  const columns = [
    { title: 'algorithm' },
    right('op/byte'),
    right('TFLOP/s'),
    { title: 'bound' },
    right('least µs'),
    right('im2col µs'),
  ] as const;
  return { title, columns, rows };
}
