import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';

import { WidefieldError } from '../core/errors.ts';
import { COLOURS, sourceOf, standalone } from './plot-style.ts';
import type { ModelReport, ModelRow } from './report.ts';

const WIDTH = 860;
const BAR_HEIGHT = 22;
/** Above the bars of a network, for its name. */
const TITLE_HEIGHT = 30;
const MARGIN = { top: 16, right: 130, bottom: 62, left: 190 };

interface Bar {
  readonly panel: string;
  readonly engine: string;
  readonly milliseconds: number;
  /** Time over that of the quickest engine on the same network. */
  readonly relative: number;
}

/**
 * Times as horizontal bars, a panel for each network: lengths relative to the network's quickest engine, so that
 * small and large networks fit one picture, and milliseconds beside the bars. Wrong results are left out.
 *
 * Throws `unsupported` if there is nothing to draw.
 */
export function plotModels({ machine, rows }: ModelReport): string {
  const bars = barsOf(rows.filter((row) => row.correct && row.medianMs > 0));
  if (bars.length === 0) throw new WidefieldError('unsupported', 'There is no correct result to plot.');
  const panels = [...new Set(bars.map(({ panel }) => panel))];
  // In the order of the colours, which is the order of the table.
  const engines = [...new Set(bars.map(({ engine }) => engine))];
  const slots = engines.length + TITLE_HEIGHT / BAR_HEIGHT;
  const height = MARGIN.top + MARGIN.bottom + panels.length * slots * BAR_HEIGHT;
  const { document } = parseHTML('<!doctype html><html><body></body></html>');
  const svg = Plot.plot({
    document,
    width: WIDTH,
    height,
    marginTop: MARGIN.top,
    marginRight: MARGIN.right,
    marginBottom: MARGIN.bottom,
    marginLeft: MARGIN.left,
    style: { fontSize: '12px', fontFamily: 'system-ui, sans-serif' },
    x: {
      label: "time of one run, relative to the network's quickest engine",
      labelAnchor: 'center',
      labelOffset: 34,
      domain: [0, Math.max(...bars.map(({ relative }) => relative))],
      grid: true,
    },
    y: { label: null, domain: ['', ...engines], padding: 0.15, tickSize: 0 },
    fy: { label: null, axis: null, domain: panels, padding: 0.04 },
    color: COLOURS,
    marks: [
      Plot.barX(bars, { fy: 'panel', y: 'engine', x: 'relative', fill: 'engine' }),
      Plot.text(bars, {
        fy: 'panel',
        y: 'engine',
        x: 'relative',
        text: ({ milliseconds, relative }: Bar) => `${digits(milliseconds)} ms (${relative.toFixed(1)}×)`,
        textAnchor: 'start',
        dx: 5,
      }),
      Plot.text(panels, {
        fy: (panel: string) => panel,
        y: () => '',
        x: () => 0,
        text: (panel: string) => panel,
        textAnchor: 'start',
        fontWeight: 600,
      }),
      Plot.ruleX([0]),
    ],
  });
  return standalone(svg, document, { x: MARGIN.left, y: height - 8 }, sourceOf(machine));
}

function barsOf(rows: readonly ModelRow[]): Bar[] {
  const panelOf = ({ model, shape }: ModelRow): string => `${model}, input [${shape.replaceAll(',', ', ')}]`;
  return rows.map((row) => {
    const panel = panelOf(row);
    const quickest = Math.min(
      ...rows.filter((other) => panelOf(other) === panel).map(({ medianMs }) => medianMs),
    );
    return { panel, engine: row.engine, milliseconds: row.medianMs, relative: row.medianMs / quickest };
  });
}

/** Three significant digits, without an exponent. */
function digits(value: number): string {
  return value >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
}
