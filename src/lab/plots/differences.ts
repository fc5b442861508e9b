import * as Plot from '@observablehq/plot';

import { invalidArgument } from '../../core/errors.ts';
import { drawAxis } from './axes.ts';
import { drawFigure } from './figure.ts';
import type { FigureText } from './figure.ts';
import { PALETTE, labelWidth } from './style.ts';

const ROW = 19;
const MARGIN = { top: 8, bottom: 46 };
const PLOT_WIDTH = 420;

/** A computed figure beside a published one. */
export interface Difference {
  readonly name: string;
  /** computed / published − 1. */
  readonly difference: number;
  readonly agrees: boolean;
  /** Such as `30.1 for 30`. */
  readonly text: string;
}

/** Relative differences as points left and right of zero: circles where figures agree, triangles where they do not. */
export function plotDifferences(rows: readonly Difference[], text: FigureText): string {
  if (rows.length === 0) throw invalidArgument('There is no figure to compare.');
  const percent = rows.map((row) => ({ ...row, percent: 100 * row.difference, state: stateOf(row) }));
  const reach = 1.1 * Math.max(1, ...percent.map((row) => Math.abs(row.percent)));
  const x = drawAxis('x', {
    label: 'computed over published − 1, in percent  (● agrees, ▲ does not)',
    domain: [-reach, reach],
    format: (value) => `${value > 0 ? '+' : ''}${value}%`,
    labelOffset: 36,
  });
  const left = 24 + labelWidth(rows.map(({ name }) => name));
  const right = 24 + labelWidth(rows.map((row) => row.text));
  return drawFigure(text, [
    [
      {
        width: left + PLOT_WIDTH + right,
        height: MARGIN.top + MARGIN.bottom + rows.length * ROW,
        options: {
          marginTop: MARGIN.top,
          marginBottom: MARGIN.bottom,
          marginLeft: left,
          marginRight: right,
          x: x.scale,
          y: { domain: rows.map(({ name }) => name), label: null, tickSize: 0 },
          color: { domain: ['agrees', 'differs'], range: [PALETTE[0], PALETTE[1]] },
          symbol: { domain: ['agrees', 'differs'], range: ['circle', 'triangle'] },
          marks: [
            ...x.marks,
            Plot.ruleX([0]),
            Plot.link(percent, {
              x1: 0,
              x2: 'percent',
              y1: 'name',
              y2: 'name',
              stroke: 'state',
              strokeWidth: 2,
            }),
            Plot.dot(percent, { x: 'percent', y: 'name', fill: 'state', symbol: 'state', r: 4.5 }),
            Plot.text(percent, {
              x: reach,
              y: 'name',
              text: 'text',
              fill: 'state',
              textAnchor: 'start',
              dx: 8,
            }),
          ],
        },
      },
    ],
  ]);
}

function stateOf({ agrees }: Difference): 'agrees' | 'differs' {
  return agrees ? 'agrees' : 'differs';
}
