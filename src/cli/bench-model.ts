import { Command, InvalidArgumentError, Option } from 'commander';

import { runModelBench } from '../bench/bench-models.ts';
import { MODEL_PEER_NAMES } from '../bench/peers/index.ts';
import type { KeySet } from '../models/model.ts';
import type { Precision } from '../runtime/plan.ts';
import { formatModelReport } from './bench-model-table.ts';
import { parsePlotName, presentReport, withCommonOptions, withProgress } from './bench-options.ts';
import type { CommonOptions } from './bench-options.ts';
import type { CommandContext } from './context.ts';
import { modelOf, ownWeights } from './model-file.ts';
import { keysOption, resolutionOption } from './model-options.ts';
import { parseBatch, parseModel } from './options.ts';
import type { Resolution } from './options.ts';

interface ModelBenchOptions extends CommonOptions {
  readonly weights?: string;
  readonly keys?: KeySet;
  readonly batch: number;
  readonly resolution?: Resolution;
  readonly precision: Precision;
  readonly deploy: boolean;
  readonly profile?: boolean;
  readonly plot?: string;
}

/** `widefield bench model`: whole networks beside other runtimes. */
export function modelCommand(context: CommandContext): Command {
  const command = new Command('model')
    .description('whole networks, from input to logits')
    .argument('<models>', 'networks, separated by commas, such as replknet-31b,slak-tiny', parseModels)
    .addOption(
      new Option(
        '--weights <file>',
        'a .pth or .safetensors file or its address (default: the network\'s own, else "synthetic", as quick as trained ones)',
      ),
    )
    .addOption(keysOption('whose names the checkpoint uses (default: found out)'))
    .addOption(new Option('--batch <count>', 'images in one run').argParser(parseBatch).default(1))
    .addOption(resolutionOption())
    .addOption(
      new Option('--precision <type>', "of Widefield's weights and products")
        .choices(['float32', 'bf16'])
        .default('float32'),
    )
    .option('--deploy', 'every engine may merge parallel branches where that is faster (default)')
    .option('--no-deploy', 'every engine runs the network in its training form')
    .option('--profile', "time of each of Widefield's kernels")
    .option('--plot <file.svg>', 'draw the times as bars', parsePlotName);
  return withCommonOptions(command, MODEL_PEER_NAMES)
    .addHelpText(
      'after',
      '\nExample:\n  widefield bench model replknet-31b,convnext-tiny --peers onnxruntime-node --profile',
    )
    .action(async (models: string[], options: ModelBenchOptions) => {
      const { weights, keys, batch, resolution, precision, deploy } = options;
      const requests = models.map((model) => ({
        ...{ model: modelOf(model), batch, precision, deploy },
        weights: weights ?? ownWeights(model) ?? 'synthetic',
        ...(keys && { keys }),
        ...(resolution !== undefined && { resolution }),
      }));
      const report = await withProgress(options, context, (bench) =>
        runModelBench(requests, { ...bench, profile: options.profile === true }),
      );
      await presentReport(report, context, {
        json: options.json,
        table: () => formatModelReport(report, options.peers),
        plot: {
          file: options.plot,
          draw: async () => (await import('../bench/plot-models.ts')).plotModels(report),
        },
      });
    });
}

/** `replknet-31b,slak-tiny`: each once. */
function parseModels(text: string): string[] {
  const names = text.split(',').map((name) => name.trim());
  if (names.includes('')) throw new InvalidArgumentError('A name is missing next to a comma.');
  return [...new Set(names.map(parseModel))];
}
