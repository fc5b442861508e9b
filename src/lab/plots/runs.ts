import { invalidArgument } from '../../core/errors.ts';
import type { RunGroup } from '../../train/run-groups.ts';
import { accuracyPanel } from './accuracy.ts';
import { drawFigure } from './figure.ts';
import type { FigureText } from './figure.ts';

/**
 * Accuracy on images held back over the epochs, a curve for each group of runs.
 *
 * Throws `invalid-argument` if no group has been evaluated.
 */
export function plotRuns(groups: readonly RunGroup[], text: FigureText): string {
  const curves = groups
    .filter(({ curve }) => curve.length > 0)
    .map(({ name, curve }) => ({
      name,
      dots: curve.length <= 40,
      points: curve.map(([epochs, top1]) => [epochs, 100 * top1] as const),
    }));
  if (curves.length === 0)
    throw invalidArgument('There is nothing to draw: no run has been evaluated on images held back.');
  const end = Math.max(...curves.flatMap(({ points }) => points.map(([epochs]) => epochs)));
  return drawFigure(text, [
    [accuracyPanel(curves, { end, height: 380, heading: 'Accuracy on images held back' })],
  ]);
}
