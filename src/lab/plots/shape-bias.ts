import * as Plot from '@observablehq/plot';

import { invalidArgument } from '../../core/errors.ts';
import { drawAxis } from './axes.ts';
import { WIDTH, drawFigure } from './figure.ts';
import type { FigureText } from './figure.ts';
import { PALETTE, labelWidth, percent } from './style.ts';

const ROW = 26;
const MARGIN = { top: 8, bottom: 46 };

/** Decisions for shape and for texture, of the images of one category. */
export interface CategoryBias {
  readonly category: string;
  readonly shape: number;
  readonly texture: number;
  /** shape / (shape + texture); undefined if both are 0. */
  readonly shapeBias: number | undefined;
}

/**
 * The share of decisions for shape, from 0 (all by texture) to 1 (all by shape), of each category; a line at that of all.
 * Throws `invalid-argument` if there are no categories.
 */
export function plotShapeBias(
  categories: readonly CategoryBias[],
  { shapeBias }: Pick<CategoryBias, 'shapeBias'>,
  text: FigureText,
): string {
  if (categories.length === 0) throw invalidArgument('There is no category to draw.');
  const known = categories.filter((each) => each.shapeBias !== undefined);
  const rows = categories.map(({ category }) => category);
  const x = drawAxis('x', {
    label: 'share of decisions by shape: 0% is all by texture, 100% all by shape',
    domain: [0, 1],
    format: (value) => `${Math.round(100 * value)}%`,
    labelOffset: 36,
  });
  const panel = {
    width: WIDTH,
    height: MARGIN.top + MARGIN.bottom + ROW * rows.length,
    options: {
      marginTop: MARGIN.top,
      marginBottom: MARGIN.bottom,
      marginLeft: 34 + labelWidth(rows),
      marginRight: 130,
      x: x.scale,
      y: { domain: rows, axis: null },
      marks: [
        ...x.marks,
        Plot.axisY({ label: null, tickSize: 0 }),
        Plot.ruleY(categories, { y: 'category', x1: 0, x2: 1, stroke: '#E4E4E4' }),
        ...(shapeBias === undefined ? [] : [Plot.ruleX([shapeBias], { stroke: PALETTE[1], strokeWidth: 2 })]),
        Plot.dot(known, { x: 'shapeBias', y: 'category', r: 5.5, fill: PALETTE[0] }),
        Plot.text(categories, {
          x: 1,
          y: 'category',
          text: describe,
          textAnchor: 'start',
          dx: 12,
        }),
      ],
    },
  };
  const line =
    shapeBias === undefined
      ? []
      : [`Line: all categories, ${percent(shapeBias)}. At the right: decisions by shape, and by either.`];
  return drawFigure({ ...text, subtitle: [...(text.subtitle ?? []), ...line] }, [[panel]]);
}

function describe({ shape, texture, shapeBias }: CategoryBias): string {
  return shapeBias === undefined ? 'by neither' : `${shape} of ${shape + texture}`;
}
