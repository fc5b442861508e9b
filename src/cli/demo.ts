import { createRequire } from 'node:module';
import path from 'node:path';

import { Command } from 'commander';

import { runModelBench } from '../bench/bench-models.ts';
import type { ModelRow } from '../bench/report.ts';
import type { WidefieldDevice } from '../bench/widefield.ts';
import type { Model } from '../runtime/model.ts';
import type { CommandContext } from './context.ts';
import { findImages } from './images.ts';
import { withModel, withRunnerOptions, withWeightOptions } from './model-options.ts';
import type { ModelCliOptions } from './model-options.ts';
import { parseModel } from './options.ts';
import { openProgress } from './progress.ts';
import { formatNumber, formatTable, right } from './table.ts';

interface DemoOptions extends ModelCliOptions {
  readonly model: string;
}

/** `widefield demo`: classifies the bundled photos, and shows how long that takes. */
export function demoCommand(context: CommandContext): Command {
  const command = new Command('demo')
    .description('classify three bundled photos, and time it beside ONNX Runtime if that is installed')
    .option('--model <name>', 'the network', parseModel, 'replknet-31b');
  return withRunnerOptions(withWeightOptions(command))
    .addHelpText(
      'after',
      '\nExample:\n  widefield demo --model convnext-tiny --weights convnext_tiny_1k_224_ema.pth',
    )
    .action(async (options: DemoOptions) => {
      const weights = options.weights ?? 'synthetic';
      const device = await withModel(options.model, { ...options, weights }, context, async (model) => {
        await classifyPhotos(model, context);
        return model.device.caps.name;
      });
      if (weights === 'synthetic') context.print(adviceOn(options.model));
      await compareTimes(device as WidefieldDevice, { ...options, weights }, context);
    });
}

async function classifyPhotos(model: Model, { print, signal }: CommandContext): Promise<void> {
  const photos = await findImages([photoFolder()]);
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
    threads,
    batch,
    resolution,
    precision,
    deploy,
  }: DemoOptions & { readonly weights: string },
  { print, signal }: CommandContext,
): Promise<void> {
  const progress = openProgress();
  const peer = device === 'native' ? 'onnxruntime-node' : 'onnxruntime-web';
  const request = {
    model,
    weights,
    batch,
    precision,
    deploy,
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

function photoFolder(): string {
  const manifest = createRequire(import.meta.url).resolve('widefield/package.json');
  return path.join(path.dirname(manifest), 'examples', 'photos');
}
