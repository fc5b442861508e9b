import * as Plot from '@observablehq/plot';

import { invalidArgument } from '../../core/errors.ts';
import type { RunGroup } from '../../train/run-groups.ts';
import { accuracyPanel } from './accuracy.ts';
import { drawAxis } from './axes.ts';
import { WIDTH, drawFigure } from './figure.ts';
import type { FigureText, Panel } from './figure.ts';
import { labelWidth, seriesScale } from './style.ts';

const ROW = 28;
const MARGIN = { top: 6, bottom: 46 };
/** Room beside the outermost results, in percent. */
const ROOM = 0.1;

/**
 * Accuracy on images held back: over the epochs, a curve for each group of runs, and at the end, a dot for each run.
 *
 * Throws `invalid-argument` if no group has been evaluated.
 */
export function plotRuns(groups: readonly RunGroup[], text: FigureText): string {
  const evaluated = groups.filter(({ curve }) => curve.length > 0);
  const curves = evaluated.map(({ name, curve }) => ({
    name,
    dots: curve.length <= 40,
    points: curve.map(([epochs, top1]) => [epochs, 100 * top1] as const),
  }));
  if (curves.length === 0)
    throw invalidArgument('There is nothing to draw: no run has been evaluated on images held back.');
  const end = Math.max(...curves.flatMap(({ points }) => points.map(([epochs]) => epochs)));
  const ended = evaluated.filter(({ top1 }) => top1 !== undefined);
  return drawFigure(text, [
    [accuracyPanel(curves, { end, height: 380, heading: 'Accuracy on images held back' })],
    ...(ended.length > 0 ? [[endPanel(ended, seriesScale(curves.map(({ name }) => name)))]] : []),
  ]);
}

/** A row for each group: its runs, their mean, and the deviation of one run. */
function endPanel(groups: readonly RunGroup[], color: ReturnType<typeof seriesScale>): Panel {
  const rows = groups.flatMap(({ name, top1 }) => {
    if (top1 === undefined) return [];
    const { mean, deviation } = top1;
    const around = deviation === undefined ? '' : ` ± ${(100 * deviation).toFixed(2)}`;
    const [low, high] = [mean - (deviation ?? 0), mean + (deviation ?? 0)].map((share) => 100 * share);
    return [{ name, mean: 100 * mean, low, high, text: `${(100 * mean).toFixed(2)}%${around}` }];
  });
  const dots = groups.flatMap(({ name, runs }) =>
    runs.flatMap(({ result }) => (result?.top1 === undefined ? [] : [{ name, percent: 100 * result.top1 }])),
  );
  const values = [
    ...dots.map(({ percent }) => percent),
    ...rows.flatMap(({ low, high }) => [low ?? 0, high ?? 0]),
  ];
  const domain = [Math.min(...values) - ROOM, Math.max(...values) + ROOM] as const;
  const x = drawAxis('x', { label: '% of images', domain, labelOffset: 36 });
  return {
    width: WIDTH,
    height: MARGIN.top + MARGIN.bottom + groups.length * ROW,
    heading: 'At the end: each run, mean and standard deviation',
    options: {
      marginTop: MARGIN.top,
      marginBottom: MARGIN.bottom,
      marginLeft: 28 + labelWidth(rows.map(({ name }) => name)),
      marginRight: 20 + labelWidth(rows.map(({ text }) => text)),
      x: x.scale,
      y: { type: 'band', domain: rows.map(({ name }) => name), axis: null, padding: 0.4 },
      color,
      marks: [
        ...x.marks,
        Plot.ruleY(rows, { y: 'name', x1: 'low', x2: 'high', stroke: 'name', strokeWidth: 1.5 }),
        Plot.tickX(rows, { x: 'mean', y: 'name', stroke: 'name', strokeWidth: 3 }),
        Plot.dot(dots, { x: 'percent', y: 'name', r: 4, fill: 'white', stroke: 'name', strokeWidth: 1.5 }),
        Plot.text(rows, { x: domain[0], y: 'name', text: 'name', textAnchor: 'end', dx: -8 }),
        Plot.text(rows, { x: domain[1], y: 'name', text: 'text', textAnchor: 'start', dx: 8 }),
      ],
    },
  };
}
