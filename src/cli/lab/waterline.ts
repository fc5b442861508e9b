import { Command, Option } from 'commander';

import { MEMORY_MODELS, waterline } from '../../lab/waterline.ts';
import type { MemoryModel, Waterline } from '../../lab/waterline.ts';
import type { MeasuredModel } from '../../lab/measure-model.ts';
import { invalidArgument } from '../../core/errors.ts';
import { THIS_DEVICE } from '../../lab/measure-device.ts';
import { measureModel } from '../../lab/measure-model.ts';
import { createModel } from '../../runtime/model.ts';
import { openDevice } from '../../runtime/open.ts';
import type { CommandContext } from '../context.ts';
import { modelOf, ownWeights } from '../model-file.ts';
import { openProgress } from '../progress.ts';
import { formatNumber, right } from '../table.ts';
import {
  formatPercent,
  modelKernels,
  networkOf,
  oneOrList,
  parseNetwork,
  settingOf,
  titleOf,
  withKernelOptions,
} from './lab-options.ts';
import type { KernelOptions, ModelKernels } from './lab-options.ts';
import { isOnnxFile, runOwnNetwork } from './own-network.ts';
import { present } from './present.ts';
import type { LabTable } from './present.ts';

interface WaterlineOptions extends KernelOptions {
  readonly scale: 'log' | 'linear';
  readonly memory?: MemoryModel;
  readonly measure?: boolean;
}

/** `widefield lab waterline`: each kernel's least time, and what the whole can attain. */
export function waterlineCommand(context: CommandContext): Command {
  const command = new Command('waterline')
    .description(
      "each kernel's intensity and least time, and the network's least latency and highest efficiency",
    )
    .argument(
      '<models...>',
      'networks such as resnet-101, or .onnx files',
      (text: string, previous: readonly string[] = []) => [...previous, parseNetwork(text)],
    );
  return withKernelOptions(command)
    .addOption(
      new Option('--scale <type>', "of the drawing's intensities").choices(['log', 'linear']).default('log'),
    )
    .addOption(
      new Option(
        '--memory <which>',
        'where kernels find what others left: dram, as in the paper, or caches as well (default: caches for "this")',
      ).choices(MEMORY_MODELS),
    )
    .option('--measure', 'also run the networks on this machine, with --device this, and compare')
    .addHelpText(
      'after',
      `
Examples:
  widefield lab waterline efficientnet-b5 convfirst-small --device a5000
  widefield lab waterline resnet-50 --device this --batch 1 --measure`,
    )
    .action(async (models: readonly string[], options: WaterlineOptions) => {
      const { memory, measure = false } = options;
      const all = await modelKernels(models, options, context);
      const measured = measure ? await measureModels(all, context) : [];
      const results = all.map((facts, i) => ({
        facts,
        line: waterline(facts.kernels, facts.device, facts.dtype, memory && { memory }),
        measured: measured[i],
      }));
      await present(context, options, {
        json: oneOrList(
          results.map(({ facts, line, measured }) => ({ ...facts, ...line, ...(measured && { measured }) })),
        ),
        tables: results.flatMap(({ facts, line, measured }) => tablesOf(facts, line, measured)),
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

function tablesOf(facts: ModelKernels, line: Waterline, measured?: MeasuredModel): LabTable[] {
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
        ...(line.memory === 'caches' ? [['caches hold what fits', 'yes']] : []),
        ['least latency, ms', formatNumber(line.minLatencyMs)],
        ['highest efficiency', formatPercent(line.maxEfficiency)],
        ['time bound by memory', formatPercent(line.underwaterShare)],
        ...(measured === undefined ? [] : measuredRows(measured)),
      ],
    },
  ];
}

function measuredRows(measured: MeasuredModel): string[][] {
  const { device, measuredMs, spread, efficiency, leastMs, bound, honest } = measured;
  return [
    ['best peak seen, GFLOP/s', formatNumber((device.peak.f32 ?? 0) / 1e9)],
    ['measured latency, ms', `${formatNumber(measuredMs)} ± ${formatPercent(spread)}`],
    ['measured efficiency', formatPercent(efficiency)],
    ['least latency of the kernels that ran, ms', formatNumber(leastMs)],
    ['highest efficiency of these', formatPercent(bound)],
    ['measured within that bound', honest ? 'yes' : 'no: measure this machine again, when it is idle'],
  ];
}

/** Runs networks on this machine. Throws `invalid-argument` if the waterlines are those of another one. */
async function measureModels(
  all: readonly ModelKernels[],
  { signal }: CommandContext,
): Promise<MeasuredModel[]> {
  const results: MeasuredModel[] = [];
  const progress = openProgress();
  try {
    for (const [done, { model: name, batch, resolution, dtype, device: record }] of all.entries()) {
      if (record.name !== THIS_DEVICE || dtype !== 'f32') {
        throw invalidArgument(
          'Only this machine can be measured, in float32: use --device this --dtype f32.',
        );
      }
      progress.update(`measuring ${name}`, done / all.length);
      const device = await openDevice('auto', { ...(record.units && { threads: record.units }), signal });
      try {
        const options = { batch, resolution, signal };
        const model = isOnnxFile(name)
          ? await runOwnNetwork(name, device, options)
          : await createModel(modelOf(name), {
              ...options,
              weights: ownWeights(name) ?? 'synthetic',
              device,
            });
        results.push(await measureModel(device, model, record, { signal }));
      } finally {
        await device.dispose();
      }
    }
  } finally {
    progress.stop();
  }
  return results;
}
