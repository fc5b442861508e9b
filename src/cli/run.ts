import { Command, InvalidArgumentError, Option } from 'commander';

import { checkWritable } from '../checkpoints/file-sink.ts';
import { writeWhole } from '../checkpoints/write-file.ts';
import { FEATURES } from '../models/model.ts';
import type { Model } from '../runtime/model.ts';
import type { CommandContext } from './context.ts';
import {
  requireWeights,
  resolutionOf,
  withModel,
  withRunnerOptions,
  withWeightOptions,
} from './model-options.ts';
import type { ModelCliOptions } from './model-options.ts';
import { encodeNpy } from './npy.ts';
import { parseModel } from './options.ts';
import { inputResolution, inputValues, readInput } from './run-input.ts';
import type { Layout } from './run-input.ts';
import { countNonFinite, formatRun, reportJson } from './run-report.ts';
import type { RunReport } from './run-report.ts';

interface RunOptions extends ModelCliOptions {
  readonly input: string;
  readonly layout?: Layout;
  readonly features?: boolean;
  readonly output?: string;
  readonly json?: boolean;
}

/** `widefield run`: the raw outputs of a network. */
export function runCommand(context: CommandContext): Command {
  const command = new Command('run')
    .description('run a network on one input and write its raw outputs')
    .argument('<model>', 'the network, such as replknet-31b, or a model.json', parseModel)
    .requiredOption(
      '--input <file>',
      'a photo, an array of normalised pixels x.npy, or "synthetic" for reproducible noise',
    );
  return withRunnerOptions(withWeightOptions(command))
    .addOption(
      new Option('--layout <axes>', 'of an array, where its shape does not tell').choices(['nhwc', 'nchw']),
    )
    .option('--features', 'also the maps of the four stages')
    .option('--output <file>', 'where to write: y.npy (features as y.stage1.npy, …) or y.json', parseOutput)
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      '\nExample:\n  widefield run slak-tiny --weights synthetic --input synthetic --output y.json',
    )
    .action(async (name: string, options: RunOptions) => {
      const weights = requireWeights(command, name, options.weights);
      const report = await run(name, { ...options, weights }, context);
      if (options.output !== undefined) {
        const files = await write(report, options.output, context.signal);
        const { output: _, features: __, ...facts } = report;
        context.print(
          options.json === true
            ? JSON.stringify({ ...facts, files })
            : `${formatRun(report)}\nWrote ${files.join(', ')}.`,
        );
      } else if (options.json === true) {
        for (const piece of reportJson(report)) context.write(piece);
      } else context.print(formatRun(report));
    });
}

async function run(
  name: string,
  options: RunOptions & { readonly weights: string },
  context: CommandContext,
): Promise<RunReport> {
  const { signal, warn } = context;
  const features = options.features === true;
  const input = await readInput(options.input, options.layout);
  const resolution = inputResolution(input, options.resolution);
  const wanted = { ...options, features, ...(resolution !== undefined && { resolution }) };
  return withModel(name, wanted, context, async (model) => {
    const values = await inputValues(input, model, signal);
    const output = await model.run(values, { signal });
    const nonFinite = countNonFinite(output);
    if (nonFinite > 0) {
      warn(
        `${nonFinite} of the ${output.length} logits are NaN or infinite: check weights and input for NaN.`,
      );
    }
    return {
      model: name,
      resolution: resolutionOf(model),
      device: model.device.caps.name,
      shape: [output.length / model.classes, model.classes],
      output,
      ...(features && { features: await stageFeatures(model, values, signal) }),
    };
  });
}

async function stageFeatures(
  model: Model,
  values: Float32Array,
  signal: AbortSignal,
): Promise<NonNullable<RunReport['features']>> {
  const maps = await model.features(values, { signal });
  return FEATURES.flatMap((stage, i) => {
    const map = maps[i];
    if (map === undefined) return [];
    return [{ stage, stride: Math.round(model.inputShape[1] / map.shape[1]), ...map }];
  });
}

/** Writes the outputs; returns the names of the files. */
async function write(report: RunReport, output: string, signal: AbortSignal): Promise<string[]> {
  if (isJson(output)) {
    await writeWhole(output, reportJson(report), signal);
    return [output];
  }
  const stem = output.slice(0, -'.npy'.length);
  const arrays = [
    { file: output, shape: report.shape, values: report.output },
    ...(report.features ?? []).map(({ stage, shape, values }) => ({
      file: `${stem}.${stage}.npy`,
      shape,
      values,
    })),
  ];
  for (const { file, ...array } of arrays) await writeWhole(file, [encodeNpy(array)], signal);
  return arrays.map(({ file }) => file);
}

function parseOutput(text: string): string {
  if (!isJson(text) && !text.toLowerCase().endsWith('.npy')) {
    throw new InvalidArgumentError('Use a name that ends in .npy or .json.');
  }
  checkWritable(text);
  return text;
}

function isJson(file: string): boolean {
  return file.toLowerCase().endsWith('.json');
}
