import { extname } from 'node:path';

import { writeWhole } from '../../checkpoints/write-file.ts';
import { invalidArgument } from '../../core/errors.ts';
import type { TrainLog } from '../../train/log.ts';
import { renderPng } from '../lab/present.ts';
import { isRecord } from './config.ts';

/** Refuses names of files that are no pictures. */
export function checkPicture(file: string): void {
  if (['.svg', '.png'].includes(extname(file).toLowerCase())) return;
  throw invalidArgument(`plot must be a name that ends in .svg or .png, got ${file}.`);
}

/** Draws a run's learning curves. Throws `invalid-argument` if there is nothing to draw, `io`, `unsupported`. */
export async function drawCurves(log: TrainLog, file: string, signal: AbortSignal): Promise<void> {
  const { plotTraining } = await import('../../lab/plots/training.ts');
  const config = log.events.findLast(({ type }) => type === 'config')?.config;
  const facts = isRecord(config) ? config : {};
  const model = isRecord(facts.model) ? (facts.model.name ?? facts.model.family) : facts.model;
  const held = log.epochs.findLast(({ validation }) => validation !== undefined)?.validation;
  const svg = plotTraining(log, {
    title: `${String(model)} on ${String(facts.data)}`,
    subtitle: [
      `seed ${String(facts.seed)}, ${log.epochs.length} of ${String(facts.epochs)} epochs${
        held === undefined ? '' : `: ${(100 * held.top1).toFixed(2)}% of ${held.images} images held back`
      }`,
    ],
  });
  await writeWhole(file, [extname(file).toLowerCase() === '.png' ? await renderPng(svg) : svg], signal);
}
