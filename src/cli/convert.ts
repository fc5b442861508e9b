import { stat } from 'node:fs/promises';

import { Command, InvalidArgumentError, Option } from 'commander';

import { openFileSink } from '../checkpoints/file-sink.ts';
import { countBeyondHalf } from '../checkpoints/half.ts';
import { writeSafetensors } from '../checkpoints/safetensors-writer.ts';
import type { WeightSource } from '../checkpoints/source.ts';
import type { KeySet } from '../models/model.ts';
import { openWeights } from '../runtime/weights.ts';
import type { CommandContext } from './context.ts';
import { planConversion, planCopy } from './convert-plan.ts';
import { keysOption } from './model-options.ts';
import { parseModel } from './options.ts';
import { openProgress, showDownload } from './progress.ts';
import { modelOf } from './model-file.ts';
import { formatNumber } from './table.ts';

interface ConvertOptions {
  readonly model?: string;
  readonly deploy?: boolean;
  readonly dtype: 'float32' | 'float16' | 'bfloat16';
  readonly keys?: KeySet;
  readonly subtree?: string;
  readonly strict: boolean;
  readonly json?: boolean;
}

/** `widefield convert`: any checkpoint as safetensors, merged if wanted. */
export function convertCommand(context: CommandContext): Command {
  const command = new Command('convert');
  return command
    .description('write a checkpoint as safetensors, checked against a network, merged if wanted')
    .argument('<input>', 'a .pth or .safetensors file or its address, or "synthetic"')
    .argument('<output>', 'the .safetensors file to write', parseSafetensors)
    .option('--model <name>', 'the network; without it, names and shapes are taken as they are', parseModel)
    .option('--deploy', 'merge parallel branches into one kernel (lkb_reparam)')
    .addOption(
      new Option('--dtype <type>', 'of the numbers written')
        .choices(['float32', 'float16', 'bfloat16'])
        .default('float32'),
    )
    .addOption(keysOption("whose names to write (default: the input's)"))
    .option('--subtree <key>', 'which part of a checkpoint with several networks, such as model_ema')
    .option('--no-strict', 'take missing tensors as zero, drop superfluous ones')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      '\nExample:\n  widefield convert RepLKNet-31B_ImageNet-1K_224.pth merged.safetensors --model replknet-31b --deploy',
    )
    .action(async (input: string, output: string, options: ConvertOptions) => {
      const needsModel = input === 'synthetic' || options.deploy === true || options.keys !== undefined;
      if (options.model === undefined && needsModel) {
        command.error('Name the network with --model: --deploy, --keys and synthetic weights need one.');
      }
      const written = await convert(input, output, options, context);
      const { size } = await stat(output);
      if (options.json === true) {
        context.print(JSON.stringify({ ...written, output, bytes: size, dtype: options.dtype }));
      } else {
        context.print(
          `Wrote ${output}: ${written.tensors} tensors${written.merged ? ' of the merged network' : ''}, ` +
            `${formatNumber(size / 2 ** 20)} MiB, ${options.dtype}.`,
        );
      }
    });
}

interface Written {
  readonly model?: string;
  readonly tensors: number;
  readonly merged: boolean;
}

async function convert(
  input: string,
  output: string,
  options: ConvertOptions,
  { signal, warn }: CommandContext,
): Promise<Written> {
  const { model, subtree, dtype } = options;
  const progress = openProgress();
  const onWarning = (message: string): void => {
    progress.clear();
    warn(message);
  };
  let source: WeightSource | undefined;
  try {
    source = await openWeights(input, {
      ...(subtree !== undefined && { subtree }),
      signal,
      onWarning,
      onProgress: (step) => showDownload(progress, step),
    });
    const plan =
      model === undefined
        ? planCopy(source)
        : planConversion(modelOf(model), source, { ...options, onWarning });
    const read = async (key: string): Promise<Float32Array | Uint8Array> => {
      const values = await plan.read(key);
      const lost = dtype === 'float16' && values instanceof Float32Array ? countBeyondHalf(values) : 0;
      if (lost > 0)
        onWarning(`${lost} values of ${key} do not fit float16 and are infinite now: use bfloat16.`);
      return values;
    };
    await writeSafetensors(plan.tensors, read, await openFileSink(output), {
      dtype,
      metadata: { format: 'pt' },
      signal,
      onProgress: ({ written, total }) => {
        progress.update(`writing ${output}`, written / total);
      },
    });
    return { ...(model !== undefined && { model }), tensors: plan.tensors.length, merged: plan.merged };
  } finally {
    progress.stop();
    await source?.close();
  }
}

function parseSafetensors(text: string): string {
  if (!text.toLowerCase().endsWith('.safetensors')) {
    throw new InvalidArgumentError('Use a name that ends in .safetensors, the format that is written.');
  }
  return text;
}
