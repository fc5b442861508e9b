import * as Plot from '@observablehq/plot';

import { invalidArgument } from '../../core/errors.ts';
import { drawAxis } from './axes.ts';
import { WIDTH } from './figure.ts';
import type { Panel } from './figure.ts';
import { labelWidth, seriesScale } from './style.ts';

const BAR = 22;
const MARGIN = { top: 6, bottom: 46 };

/** A horizontal bar, its row named at the left, its series by its colour and its text, which stands behind it. */
export interface Bar {
  readonly row: string;
  readonly series: string;
  readonly value: number;
  readonly text: string;
}

export interface BarPanelOptions {
  readonly heading?: string;
  readonly label: string;
  /** Where bars start: 0, or the least value of a logarithmic axis; default 0. */
  readonly from?: number;
  readonly type?: 'log' | 'linear';
  /** Names to leave room for at the left, where panels above each other are to align; default the rows. */
  readonly labels?: readonly string[];
  /** Where the axis ends; default the largest value. */
  readonly to?: number;
  /** Colours of series; default as they come. */
  readonly series?: { readonly domain: string[]; readonly range: string[] };
}

/** Horizontal bars, those of a row below each other, with texts at their ends. Throws `invalid-argument` if there are none. */
export function barPanel(bars: readonly Bar[], options: BarPanelOptions): Panel {
  if (bars.length === 0) throw invalidArgument('There is no bar to draw.');
  const { heading, label, type = 'linear' } = options;
  const series = options.series ?? seriesScale([...new Set(bars.map((bar) => bar.series))]);
  const rows = [...new Set(bars.map(({ row }) => row))];
  const marginLeft = 28 + labelWidth(options.labels ?? rows);
  const marginRight = 20 + labelWidth(bars.map(({ text }) => text));
  const most = options.to ?? Math.max(...bars.map(({ value }) => value));
  const from = options.from ?? (type === 'log' ? Math.min(...bars.map(({ value }) => value)) / 2 : 0);
  // Each bar has a place of its own; a row's name stands beside the middle of its bars.
  const places = rows.flatMap((row) => {
    const own = bars.filter((bar) => bar.row === row).map((bar, i) => ({ ...bar, place: `${row} ${i}` }));
    return rows.length === bars.length ? own : [...own, { row, place: `${row} end` }];
  });
  const drawn = places.filter((place) => 'value' in place);
  const isFirst = ({ row, place }: { row: string; place: string }): boolean => place === `${row} 0`;
  const x = drawAxis('x', { label, type, domain: [from, most], labelOffset: 36 });
  return {
    width: Math.max(WIDTH, marginLeft + 420 + marginRight),
    height: MARGIN.top + MARGIN.bottom + places.length * (rows.length === bars.length ? BAR : 0.82 * BAR),
    ...(heading !== undefined && { heading }),
    options: {
      marginTop: MARGIN.top,
      marginBottom: MARGIN.bottom,
      marginLeft,
      marginRight,
      x: x.scale,
      y: { domain: places.map(({ place }) => place), axis: null, padding: 0.16 },
      color: series,
      marks: [
        ...x.marks,
        Plot.rect(drawn, { x1: from, x2: 'value', y: 'place', fill: 'series' }),
        Plot.text(drawn, { x: 'value', y: 'place', text: 'text', textAnchor: 'start', dx: 6 }),
        Plot.text(drawn.filter(isFirst), { x: from, y: 'place', text: 'row', textAnchor: 'end', dx: -8 }),
        Plot.ruleX([from]),
      ],
    },
  };
}
