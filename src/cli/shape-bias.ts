import { Command } from 'commander';

import { WidefieldError, invalidArgument } from '../core/errors.ts';
import { cuesOf } from '../train/cue-conflict.ts';
import { decide, shapeBias } from '../train/shape-bias.ts';
import type { BiasCounts, ShapeBias, Stimulus } from '../train/shape-bias.ts';
import type { CommandContext } from './context.ts';
import { findImages } from './images.ts';
import { formatPercent } from './lab/lab-options.ts';
import { present, withOutputOptions } from './lab/present.ts';
import type { OutputOptions } from './lab/present.ts';
import {
  requireWeights,
  resolutionOf,
  withModel,
  withRunnerOptions,
  withWeightOptions,
} from './model-options.ts';
import type { ModelCliOptions } from './model-options.ts';
import { parseModel } from './options.ts';
import { openProgress } from './progress.ts';
import { right } from './table.ts';

interface ShapeBiasOptions extends ModelCliOptions, OutputOptions {
  readonly images: string;
}

/** `widefield shape-bias`: whether a network goes by shape or by texture. */
export function shapeBiasCommand(context: CommandContext): Command {
  const command = new Command('shape-bias')
    .description('whether a network goes by shape or by texture, on images where these disagree')
    .argument('<model>', 'the network, such as slak-tiny', parseModel)
    .requiredOption('--images <folder>', 'images whose names say both, such as cat/cat1-elephant2.png');
  return withOutputOptions(withRunnerOptions(withWeightOptions(command)))
    .addHelpText(
      'after',
      `
Shape bias is shape / (shape + texture): of the images that a network takes for what their shape or their texture shows, the
share of those by shape (Geirhos et al. 2019). The 1280 images are in the folder stimuli/style-transfer-preprocessed-512 of
https://github.com/rgeirhos/texture-vs-shape. A decision is the one of 16 categories whose ImageNet classes have the
highest mean probability. Images whose shape and texture are of one category do not count.

Example:
  widefield shape-bias slak-tiny --weights SLaK_tiny.pth --images style-transfer-preprocessed-512 --batch 8`,
    )
    .action(async (model: string, options: ShapeBiasOptions) => {
      await runShapeBias(model, requireWeights(command, model, options.weights), options, context);
    });
}

async function runShapeBias(
  name: string,
  weights: string,
  options: ShapeBiasOptions,
  context: CommandContext,
): Promise<void> {
  const { signal, warn } = context;
  const stimuli = await findStimuli(options.images, warn);
  await withModel(name, { ...options, weights }, context, async (model) => {
    if (weights === 'synthetic') warn('Synthetic weights have learned nothing: their bias means nothing.');
    const progress = openProgress();
    try {
      const decisions = await decide(model, stimuli, {
        signal,
        onDamaged: ({ message }) => {
          progress.clear();
          warn(message);
          context.fail();
        },
        onProgress: (done, total) => {
          progress.update(`${done} of ${total} images`, done / total);
        },
      });
      progress.stop();
      const bias = shapeBias(decisions);
      await presentBias(name, { resolution: resolutionOf(model), bias, decisions }, options, context);
    } finally {
      progress.stop();
    }
  });
}

/** Images whose names tell shape and texture. Throws `io` if there are no images, `invalid-argument` if no name does. */
async function findStimuli(where: string, warn: (text: string) => void): Promise<Stimulus[]> {
  const files = (await findImages([where])).map((entry) => {
    if ('error' in entry) throw new WidefieldError('io', entry.error);
    return entry.file;
  });
  const stimuli = files.flatMap((file) => {
    const cues = cuesOf(file);
    return cues === undefined ? [] : [{ file, ...cues }];
  });
  if (stimuli.every(({ shape, texture }) => shape === texture)) {
    throw invalidArgument(
      `${where} has no images whose names tell a shape and another texture, such as cat1-elephant2.png: give a folder of cue-conflict images.`,
    );
  }
  const others = files.length - stimuli.length;
  if (others > 0) warn(`Images whose names tell no shape and texture are left out: ${others}.`);
  return stimuli;
}

async function presentBias(
  model: string,
  result: {
    readonly resolution: unknown;
    readonly bias: ShapeBias;
    readonly decisions: Awaited<ReturnType<typeof decide>>;
  },
  options: ShapeBiasOptions,
  context: CommandContext,
): Promise<void> {
  const { resolution, bias, decisions } = result;
  const { categories, ...all } = bias;
  const title = `Shape bias of ${model}`;
  const summary = `${bias.images} images whose shape and texture disagree, ${formatPercent(bias.accuracy)} of them taken for either`;
  await present(context, options, {
    json: { model, resolution, ...all, categories: Object.fromEntries(categories), decisions },
    tables: [
      {
        title: `${title}: ${formatBias(bias)}`,
        columns: [
          { title: 'shape' },
          right('images'),
          right('by shape'),
          right('by texture'),
          right('shape bias'),
        ],
        rows: [...[...categories].map(([category, counts]) => rowOf(category, counts)), rowOf('all', bias)],
        notes: [`${summary}.`],
      },
    ],
    plot: async () => {
      const { plotShapeBias } = await import('../lab/plots/shape-bias.ts');
      return plotShapeBias(
        [...categories].map(([category, counts]) => ({ category, ...counts })),
        bias,
        {
          title: `${title}: ${formatBias(bias)}`,
          subtitle: [`${summary}.`],
        },
      );
    },
  });
}

function rowOf(name: string, counts: BiasCounts): string[] {
  const { images, shape, texture } = counts;
  return [name, String(images), String(shape), String(texture), formatBias(counts)];
}

function formatBias({ shapeBias: bias }: BiasCounts): string {
  return bias === undefined ? 'undefined' : formatPercent(bias);
}
