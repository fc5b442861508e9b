import { Command, InvalidArgumentError } from 'commander';

import { LAYER_PEER_NAMES, runLayerBench } from '../bench/bench-train-layer.ts';
import type { KernelSize, MapShape } from '../bench/case.ts';
import { layerCase } from '../bench/train-layer-case.ts';
import type { LayerCase } from '../bench/train-layer-case.ts';
import { refuseWrongResults, withCommonOptions, withProgress } from './bench-options.ts';
import type { CommonOptions } from './bench-options.ts';
import { formatLayerReport } from './bench-train-layer-table.ts';
import type { CommandContext } from './context.ts';
import { parseKernels, parseMapShapes } from './options.ts';

interface LayerOptions extends CommonOptions {
  readonly shape?: MapShape[];
  readonly kernels: KernelSize[];
}

/** `widefield bench train`: layers, blocks and networks in training. */
export function trainCommand(context: CommandContext): Command {
  return new Command('train')
    .description('training: gradients of layers, whole steps of blocks and networks')
    .addCommand(layerCommand(context));
}

function layerCommand(context: CommandContext): Command {
  const command = new Command('depthwise')
    .description('a depthwise convolution: forward, gradient to its input, gradient to its weight')
    .option('--shape <N,H,W,C>', 'the map; several separated by ";" (default: 8,32,32,384)', parseMapShapes)
    .option(
      '--kernels <sizes>',
      'odd kernel sizes, such as 7,31,51x5',
      parseOddKernels,
      parseKernels('7,31,51'),
    );
  return withCommonOptions(command, LAYER_PEER_NAMES).action(async (options: LayerOptions) => {
    const shapes = options.shape ?? [[8, 32, 32, 384] as const];
    const makers = shapes.flatMap((shape) => options.kernels.map((kernel) => () => layerCase(shape, kernel)));
    const report = await withProgress(options, context, (bench) =>
      runLayerBench(lazily(makers), makers.length, bench),
    );
    context.print(
      options.json === true ? JSON.stringify(report, undefined, 2) : formatLayerReport(report, options.peers),
    );
    refuseWrongResults(report);
  });
}

function parseOddKernels(text: string): KernelSize[] {
  const kernels = parseKernels(text);
  if (kernels.some(({ height, width }) => height % 2 === 0 || width % 2 === 0)) {
    throw new InvalidArgumentError(
      'Use odd sizes: the map keeps its size, and PyTorch pads both sides alike.',
    );
  }
  return kernels;
}

/** Makes each case's data only when its turn has come. */
function* lazily(makers: readonly (() => LayerCase)[]): Generator<LayerCase> {
  for (const make of makers) yield make();
}
