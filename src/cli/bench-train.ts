import { Command, InvalidArgumentError, Option } from 'commander';

import { TRAIN_PEER_NAMES, runTrainBench } from '../bench/bench-train.ts';
import { LAYER_PEER_NAMES, runLayerBench } from '../bench/bench-train-layer.ts';
import type { KernelSize, MapShape } from '../bench/case.ts';
import { checkLeaks } from '../bench/leak-check.ts';
import { layerCase } from '../bench/train-layer-case.ts';
import type { LayerCase } from '../bench/train-layer-case.ts';
import type { TrainRequest } from '../bench/train-case.ts';
import { SMALL_CONVNET, replkBlockPair, smallConvNet } from '../bench/train-networks.ts';
import type { Graph } from '../graph/graph.ts';
import { presentReport, withCommonOptions, withProgress } from './bench-options.ts';
import type { CommonOptions } from './bench-options.ts';
import { formatLayerReport } from './bench-train-layer-table.ts';
import { formatLeakReports, formatTrainReport } from './bench-train-table.ts';
import { modelOf } from './model-file.ts';
import type { CommandContext } from './context.ts';
import { resolutionOption } from './model-options.ts';
import { parseBatch, parseCount, parseKernels, parseMapShapes, parseModel } from './options.ts';
import type { Resolution } from './options.ts';

/** What layers are timed with unless `--kernels` says otherwise. */
const KERNELS = '7,31,51';

interface LayerOptions extends CommonOptions {
  readonly shape?: MapShape[];
  readonly kernels: KernelSize[];
}

const DEFAULT_LEAK_STEPS = 1000;

interface StepOptions extends CommonOptions {
  readonly batch: number;
  readonly recompute?: boolean;
  readonly profile?: boolean;
  readonly leakCheck?: true | number;
}

/** `widefield bench train`: layers, blocks and networks in training. */
export function trainCommand(context: CommandContext): Command {
  return new Command('train')
    .description('training: gradients of layers, whole steps of blocks and networks')
    .addCommand(layerCommand(context))
    .addCommand(blockCommand(context))
    .addCommand(modelCommand(context));
}

function layerCommand(context: CommandContext): Command {
  const command = new Command('depthwise')
    .description('a depthwise convolution: forward, gradient to its input, gradient to its weight')
    .option('--shape <N,H,W,C>', 'the map; several separated by ";" (default: 8,32,32,384)', parseMapShapes)
    .addOption(
      new Option('--kernels <sizes>', 'odd kernel sizes, such as 7,31,51x5')
        .argParser(parseOddKernels)
        .default(parseKernels(KERNELS), KERNELS),
    );
  return withCommonOptions(command, LAYER_PEER_NAMES).action(async (options: LayerOptions) => {
    const shapes = options.shape ?? [[8, 32, 32, 384] as const];
    const makers = shapes.flatMap((shape) => options.kernels.map((kernel) => () => layerCase(shape, kernel)));
    const report = await withProgress(options, context, (bench) =>
      runLayerBench(lazily(makers), makers.length, bench),
    );
    await presentReport(report, context, {
      json: options.json,
      table: () => formatLayerReport(report, options.peers),
    });
  });
}

function blockCommand(context: CommandContext): Command {
  const command = new Command('block')
    .description('a step of a RepLK block and the ConvFFN block behind it, with a small head')
    .argument('<model>', 'a RepLKNet, such as replknet-31b', parseModel)
    .option('--stage <number>', 'of the network', (text) => parseCount(text, 4), 1);
  return withStepOptions(command, 8).action(
    async (model: string, options: StepOptions & { readonly stage: number }) => {
      const { batch, stage } = options;
      const graph = replkBlockPair(model, stage, batch);
      await runSteps([{ name: graph.name, graph, inputGradient: true }], options, context);
    },
  );
}

function modelCommand(context: CommandContext): Command {
  const command = new Command('model')
    .description('a step of whole networks: forward, gradients, AdamW')
    .argument('<models>', `networks of the zoo, separated by commas, or ${SMALL_CONVNET}`, parseNetworks)
    .addOption(resolutionOption());
  return withStepOptions(command, 4).action(
    async (models: string[], options: StepOptions & { readonly resolution?: Resolution }) => {
      const requests = models.map((name) => ({ name, graph: networkOf(name, options) }));
      await runSteps(requests, options, context);
    },
  );
}

function withStepOptions(command: Command, batch: number): Command {
  return withCommonOptions(
    command
      .addOption(new Option('--batch <count>', 'images in one step').argParser(parseBatch).default(batch))
      .option('--recompute', 'recompute activations in the backward pass: less memory, more time')
      .option('--profile', "time of each of Widefield's kernels")
      .option(
        '--leak-check [steps]',
        'in place of times: resident memory over many steps (default: 1000)',
        (text) => parseCount(text),
      ),
    TRAIN_PEER_NAMES,
  );
}

async function runSteps(
  requests: readonly TrainRequest[],
  options: StepOptions,
  context: CommandContext,
): Promise<void> {
  const { recompute = false, profile = false, leakCheck } = options;
  if (leakCheck !== undefined) {
    const { json } = options;
    const steps = leakCheck === true ? DEFAULT_LEAK_STEPS : leakCheck;
    const reports = await withProgress(options, context, (bench) =>
      checkLeaks(
        requests.map((request) => ({ ...request, recompute })),
        { ...bench, steps },
      ),
    );
    context.print(json === true ? JSON.stringify(reports, undefined, 2) : formatLeakReports(reports));
    return;
  }
  const report = await withProgress(options, context, (bench) =>
    runTrainBench(
      requests.map((request) => ({ ...request, recompute })),
      { ...bench, profile },
    ),
  );
  await presentReport(report, context, {
    json: options.json,
    table: () => formatTrainReport(report, options.peers),
  });
}

function networkOf(
  name: string,
  { batch, resolution }: { readonly batch: number; readonly resolution?: Resolution },
): Graph {
  if (name === SMALL_CONVNET) return smallConvNet(batch, resolution);
  return modelOf(name).build({ batch, ...(resolution !== undefined && { resolution }) });
}

/** `convnext-tiny,small-convnet`: each once. */
function parseNetworks(text: string): string[] {
  const names = text.split(',').map((name) => name.trim());
  if (names.includes('')) throw new InvalidArgumentError('A name is missing next to a comma.');
  return [...new Set(names.map((name) => (name === SMALL_CONVNET ? name : parseModel(name))))];
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
