import path from 'node:path';

import { Command } from 'commander';

import { runModelBench } from '../bench/bench-models.ts';
import type { ModelRow } from '../bench/report.ts';
import type { WidefieldDevice } from '../bench/widefield.ts';
import type { Model } from '../runtime/model.ts';
import { PACKAGED_MODEL, packageFile, packagedModel } from '../runtime/packaged-model.ts';
import type { CommandContext } from './context.ts';
import { findImages } from './images.ts';
import { modelOf, ownWeights } from './model-file.ts';
import { withModel, withRunnerOptions, withWeightOptions } from './model-options.ts';
import type { ModelCliOptions } from './model-options.ts';
import { parseModel } from './options.ts';
import { openProgress } from './progress.ts';
import { slug } from './save-samples.ts';
import { formatNumber, formatTable, right } from './table.ts';

interface DemoOptions extends ModelCliOptions {
  readonly model?: string;
}

/** What is timed beside ONNX Runtime unless another network is named. */
const TIMED = 'replknet-31b';
/** The official file's name. */
const TIMED_WEIGHTS = 'RepLKNet-31B_ImageNet-1K_224.pth';

/** `widefield demo`: classifies bundled images, and shows how long a large network takes. */
export function demoCommand(context: CommandContext): Command {
  const command = new Command('demo')
    .description(
      `classify bundled images of clothes with the packaged network, and time ${TIMED} beside ONNX Runtime if that is installed`,
    )
    .option('--model <name>', 'this network on bundled photos instead, timed as well', parseModel);
  return withRunnerOptions(withWeightOptions(command))
    .addHelpText(
      'after',
      '\nExamples:\n  widefield demo\n  widefield demo --model convnext-tiny --weights convnext_tiny_1k_224_ema.pth',
    )
    .action(async ({ model, ...options }: DemoOptions) => {
      if (model === undefined) {
        if ((options.weights ?? options.keys ?? options.subtree) !== undefined) {
          command.error('Name the network of these weights with --model.');
        }
        const device = await classifyClothes(options, context);
        context.print(
          `\nNow the time of a large network, ${TIMED} with 31×31 kernels; weights that a formula makes up are as quick as trained ones.`,
        );
        await compareTimes(device, { ...options, model: TIMED, weights: 'synthetic' }, context);
        context.print(
          `\nWith its official weights (the README says where): npx widefield classify examples/photos --model ${TIMED} --weights ${TIMED_WEIGHTS}`,
        );
        return;
      }
      const weights = options.weights ?? ownWeights(model) ?? 'synthetic';
      const device = await withModel(model, { ...options, weights }, context, async (opened) => {
        await classifyPhotos(opened, context);
        return opened.device.caps.name;
      });
      if (weights === 'synthetic') context.print(adviceOn(model));
      await compareTimes(device as WidefieldDevice, { ...options, model, weights }, context);
    });
}

/** Test images of Fashion-MNIST, whose files are named by what they show, by the network that comes with the package. */
async function classifyClothes(
  { device, threads, precision, deploy, strict }: ModelCliOptions,
  context: CommandContext,
): Promise<WidefieldDevice> {
  const { weights } = packagedModel();
  const files = (await findImages([packageFile('examples/fashion')])).map(({ file }) => file);
  const options = { device, threads, precision, deploy, strict, weights, batch: files.length };
  return withModel(PACKAGED_MODEL, options, context, async (model) => {
    const begin = performance.now();
    const classes = await model.classifyAll(files, { top: 1, signal: context.signal });
    const milliseconds = performance.now() - begin;
    const rows = files.map((file, i) => {
      const name = path.basename(file, path.extname(file));
      const { label = '', probability = 0 } = classes[i]?.[0] ?? {};
      const hit = name.replace(/-\d+$/, '') === slug(label);
      return { cells: [name, label, `${(100 * probability).toFixed(0)}%`, hit ? '' : 'wrong'], hit };
    });
    context.print(`${model.variant.title}, trained on Fashion-MNIST by Widefield, on ${model.device.note}`);
    context.print('');
    context.print(
      formatTable(
        [{ title: 'test image' }, { title: 'class' }, right('probability'), { title: '' }],
        rows.map(({ cells }) => cells),
      ),
    );
    const hits = rows.filter(({ hit }) => hit).length;
    context.print(
      `\n${hits} of ${rows.length} right, in ${formatNumber(milliseconds)} ms, reading the files included.`,
    );
    return model.device.caps.name as WidefieldDevice;
  });
}

async function classifyPhotos(model: Model, { print, signal }: CommandContext): Promise<void> {
  const photos = await findImages([packageFile('examples/photos')]);
  const rows: string[][] = [];
  for (const { file } of photos) {
    const image = await model.prepareImage(file, { signal });
    const begin = performance.now();
    const logits = await model.run(image, { signal });
    const milliseconds = performance.now() - begin;
    const [best] = await model.rank(logits, 1);
    rows.push([
      path.basename(file),
      best?.label ?? '',
      `${(100 * (best?.probability ?? 0)).toFixed(1)}%`,
      formatNumber(milliseconds),
    ]);
  }
  const [, height, width] = model.inputShape;
  print(`${model.variant.title} at ${height}×${width} on ${model.device.note}`);
  print('');
  print(formatTable([{ title: 'photo' }, { title: 'class' }, right('probability'), right('ms')], rows));
}

/** What to do about weights that have learned nothing. */
function adviceOn(model: string): string {
  return [
    '',
    'The weights are synthetic: made up by a formula, so the classes mean nothing; times do. With official weights',
    '(the README says where they are):',
    '',
    `  npx widefield classify examples/photos --model ${model} --weights FILE`,
  ].join('\n');
}

async function compareTimes(
  device: WidefieldDevice,
  {
    model,
    weights,
    keys,
    subtree,
    strict,
    threads,
    batch,
    resolution,
    precision,
    deploy,
  }: ModelCliOptions & { readonly model: string; readonly weights: string },
  { print, signal }: CommandContext,
): Promise<void> {
  const progress = openProgress();
  const peer = device === 'native' ? 'onnxruntime-node' : 'onnxruntime-web';
  const request = {
    model: modelOf(model),
    weights,
    strict,
    batch,
    precision,
    deploy,
    ...(keys && { keys }),
    ...(subtree !== undefined && { subtree }),
    ...(resolution !== undefined && { resolution }),
  };
  const report = await runModelBench([request], {
    devices: [device],
    peers: [peer],
    threads,
    seconds: 1,
    tune: false,
    signal,
    onProgress: (activity, done) => progress.update(activity, done),
  }).finally(() => progress.stop());
  print('');
  print(
    comparison(report.rows, peer) ?? `${peer} could not be timed: ${report.skipped[0]?.reason ?? 'unknown'}.`,
  );
}

/** `Median time: 127 ms; onnxruntime-node 174 ms, 1.37 times as long.` */
function comparison(rows: readonly ModelRow[], peer: string): string | undefined {
  const ours = rows.find(({ engine }) => engine.startsWith('widefield-'));
  const others = rows.filter(({ engine }) => engine.startsWith(peer));
  if (ours === undefined || others.length === 0) return undefined;
  const times = others.map(
    ({ engine, config, medianMs }) =>
      `  ${engine.padEnd(26)} ${formatNumber(medianMs).padStart(6)} ms   ${(medianMs / ours.medianMs).toFixed(2)}× as long   (${config})`,
  );
  return [
    `In turns, ${ours.threads} threads, medians of ${ours.runs} runs, outputs compared:`,
    `  ${ours.engine.padEnd(26)} ${formatNumber(ours.medianMs).padStart(6)} ms`,
    ...times,
  ].join('\n');
}
