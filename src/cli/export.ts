import { stat } from 'node:fs/promises';

import { Command, InvalidArgumentError } from 'commander';

import { openFileSink } from '../checkpoints/file-sink.ts';
import { exportOnnx } from '../checkpoints/onnx/export.ts';
import type { WeightSource } from '../checkpoints/source.ts';
import { selectOutputs } from '../graph/graph.ts';
import { reparameterize } from '../graph/passes/reparameterize.ts';
import { draftModel, fitModel } from '../runtime/fit.ts';
import { openWeights } from '../runtime/weights.ts';
import type { CommandContext } from './context.ts';
import { requireWeights, resolutionOption, withWeightOptions } from './model-options.ts';
import type { WeightOptions } from './model-options.ts';
import { parseCount, parseModel } from './options.ts';
import type { Resolution } from './options.ts';
import { openProgress, showDownload } from './progress.ts';
import { modelOf } from './model-file.ts';
import { formatNumber } from './table.ts';

interface ExportOptions extends WeightOptions {
  readonly resolution?: Resolution;
  readonly opset: number;
  readonly deploy?: boolean;
  readonly fixedBatch?: boolean;
  readonly json?: boolean;
}

/** `widefield export`: a network with its weights as an ONNX model. */
export function exportCommand(context: CommandContext): Command {
  const command = new Command('export')
    .description('write a network with its weights as an ONNX model')
    .argument('<model>', 'the network, such as replknet-31b', parseModel)
    .argument('<output>', 'the .onnx file to write', parseOnnx)
    .addOption(resolutionOption());
  return withWeightOptions(command)
    .option('--opset <version>', "of ONNX's operators", (text) => parseCount(text, 100), 17)
    .option('--deploy', 'merge parallel branches into one kernel')
    .option('--fixed-batch', 'batch 1 only, instead of any')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      '\nExample:\n  widefield export convnext-tiny --weights convnext_tiny_1k_224_ema.pth convnext.onnx',
    )
    .action(async (name: string, output: string, options: ExportOptions) => {
      const weights = requireWeights(command, name, options.weights);
      await exportModel(name, output, { ...options, weights }, context);
      const { size } = await stat(output);
      const facts = { model: name, output, opset: options.opset, bytes: size };
      context.print(
        options.json === true
          ? JSON.stringify(facts)
          : `Wrote ${output}: ${name}, opset ${options.opset}, ${formatNumber(size / 2 ** 20)} MiB.`,
      );
    });
}

async function exportModel(
  name: string,
  output: string,
  options: ExportOptions & { readonly weights: string },
  { signal, warn }: CommandContext,
): Promise<void> {
  const { weights, resolution, keys, strict, subtree, opset } = options;
  const progress = openProgress();
  const onWarning = (message: string): void => {
    progress.clear();
    warn(message);
  };
  const fit = { strict, ...(resolution !== undefined && { resolution }), ...(keys && { keys }) };
  let source: WeightSource | undefined;
  try {
    // What no weights would fit is not worth a download.
    const { variant } = draftModel(modelOf(name), fit);
    source = await openWeights(weights, {
      ...(subtree !== undefined && { subtree }),
      signal,
      onWarning,
      onProgress: (step) => showDownload(progress, step),
    });
    const fitted = fitModel(variant, source, fit);
    fitted.warnings.forEach(onWarning);
    const classifier = selectOutputs(fitted.graph, ['logits']);
    const graph = options.deploy === true ? reparameterize(classifier) : classifier;
    await exportOnnx(graph, fitted.weights, await openFileSink(output), {
      opset,
      dynamicBatch: options.fixedBatch !== true,
      signal,
      onProgress: ({ written, total }) => {
        progress.update(`writing ${output}`, written / total);
      },
    });
  } finally {
    progress.stop();
    await source?.close();
  }
}

function parseOnnx(text: string): string {
  if (!text.toLowerCase().endsWith('.onnx')) {
    throw new InvalidArgumentError('Use a name that ends in .onnx, the format that is written.');
  }
  return text;
}
