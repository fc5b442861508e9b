import * as Plot from '@observablehq/plot';

import type { ProjectedLayer, Projection } from '../project.ts';
import { WIDTH, drawFigure } from './figure.ts';
import type { FigureText, Panel } from './figure.ts';
import { digits, percent } from './style.ts';

/** A network's projection, and the latency that its paper states. */
export interface TitledProjection extends Projection {
  readonly title: string;
  readonly publishedMs?: number;
}

const SOURCES = ['measured', 'estimated', 'inferred', 'given'] as const;
const COLOURS = { domain: [...SOURCES], range: ['#0072B2', '#E69F00', '#CC79A7', '#009E73'] };

interface Bar extends ProjectedLayer {
  readonly startMs: number;
  readonly endMs: number;
}

/**
 * Speed projections: a rectangle for each layer, as wide as its projected time and as high as its efficiency, so that areas
 * are operations. Networks share one time axis. Colours, and letters in the rectangles, say where efficiencies come from.
 */
export function plotProjections(projections: readonly TitledProjection[], text: FigureText): string {
  const longest = Math.max(...projections.map(({ latencyMs }) => latencyMs));
  const panels = projections.map((projection, i) => [
    panelOf(projection, longest, i === projections.length - 1),
  ]);
  return drawFigure(text, panels);
}

function panelOf(projection: TitledProjection, end: number, withAxis: boolean): Panel {
  const { title, layers, latencyMs, efficiency, publishedMs } = projection;
  const printed = publishedMs === undefined ? '' : ` (published: ${publishedMs} ms)`;
  let at = 0;
  const bars = layers.map((layer): Bar => {
    const startMs = at;
    at += layer.timeMs;
    return { ...layer, startMs, endMs: at };
  });
  const sources = SOURCES.filter((source) => bars.some((bar) => bar.source === source));
  const axis = withAxis ? 46 : 24;
  return {
    width: WIDTH,
    height: 130 + axis,
    heading: `${title}: ${digits(latencyMs)} ms${printed}, ${percent(efficiency)} of the peak`,
    options: {
      marginTop: 6,
      marginLeft: 70,
      marginRight: 150,
      marginBottom: axis,
      x: {
        ...{ domain: [0, end], label: withAxis ? 'projected time, ms' : null, labelAnchor: 'center' },
        ...{ labelArrow: false, labelOffset: 36 },
      },
      y: {
        ...{ domain: [0, 1], label: 'efficiency', labelAnchor: 'center', labelArrow: false, labelOffset: 54 },
        ...{ grid: true, ticks: [0, 0.5, 1], tickFormat: (share: number) => `${100 * share}%` },
      },
      color: COLOURS,
      marks: [
        Plot.rect(bars, {
          ...{ x1: 'startMs', x2: 'endMs', y1: 0, y2: 'efficiency', fill: 'source' },
          ...{ stroke: 'white', strokeWidth: 0.6 },
          title: (bar: Bar) =>
            `${bar.name}: ${percent(bar.efficiency)} (${bar.source}), ${digits(bar.timeMs)} ms`,
        }),
        Plot.link(
          bars.filter(({ source }) => source !== 'measured'),
          {
            ...{ x1: 'startMs', y1: 0, x2: 'endMs', y2: 'efficiency', stroke: 'white', strokeWidth: 1 },
          },
        ),
        Plot.rect(sources, {
          ...{
            x1: end * 1.015,
            x2: end * 1.03,
            y1: (_, i) => legendY(i) - 0.05,
            y2: (_, i) => legendY(i) + 0.05,
          },
          fill: (source: string) => source,
        }),
        Plot.text(sources, {
          ...{ x: end * 1.04, y: (_, i) => legendY(i), text: (source: string) => nameOf(source) },
          textAnchor: 'start',
        }),
        Plot.ruleY([0]),
      ],
    },
  };
}

function legendY(index: number): number {
  return 0.9 - 0.17 * index;
}

/** Rectangles of other efficiencies than measured ones have a diagonal line. */
function nameOf(source: string): string {
  return source === 'measured' ? 'measured' : `${source} ( / )`;
}
