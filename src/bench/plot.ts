import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';

import { invalidArgument } from '../core/errors.ts';
import { COLOURS, sourceOf, standalone } from './plot-style.ts';
import type { BenchReport, OpRow } from './report.ts';

const WIDTH = 760;
const PANEL_HEIGHT = 420;
const MARGIN = { top: 36, right: 170, bottom: 44, left: 56 };
/** Least distance of two labels. */
const LABEL_PIXELS = 14;

interface Point {
  readonly shape: string;
  readonly engine: string;
  readonly kernel: number;
  readonly medianMs: number;
}

/**
 * Time against kernel size as a standalone SVG: a panel for each shape, a line for each engine, both axes
 * labelled and the time logarithmic. Rectangular kernels are left out.
 *
 * Throws `invalid-argument` if there is nothing to draw.
 */
export function plotReport({ machine, rows }: BenchReport): string {
  const points = rows.filter(isPoint);
  if (points.length === 0)
    throw invalidArgument('There is no square kernel to plot: name some with --kernels.');
  const shapes = [...new Set(points.map((point) => point.shape))];
  const { document } = parseHTML('<!doctype html><html><body></body></html>');
  const height = MARGIN.top + MARGIN.bottom + shapes.length * PANEL_HEIGHT;
  const svg = Plot.plot({
    document,
    width: WIDTH,
    height,
    marginTop: MARGIN.top,
    marginRight: MARGIN.right,
    marginBottom: MARGIN.bottom,
    marginLeft: MARGIN.left,
    style: { fontSize: '12px', fontFamily: 'system-ui, sans-serif' },
    x: { label: 'kernel size K (K × K taps)', ticks: [...new Set(points.map((point) => point.kernel))] },
    y: { type: 'log', label: 'median time of one run (ms)', grid: true, tickFormat: String },
    fy: { label: null, axis: null, domain: shapes },
    color: COLOURS,
    marks: [
      Plot.frame({ stroke: '#ccc' }),
      // Without z, Plot warns where lines have few points.
      Plot.lineY(points, {
        fy: 'shape',
        x: 'kernel',
        y: 'medianMs',
        z: 'engine',
        stroke: 'engine',
        strokeWidth: 2,
      }),
      Plot.dot(points, { fy: 'shape', x: 'kernel', y: 'medianMs', fill: 'engine', r: 3 }),
      Plot.text(endLabels(points), {
        fy: 'shape',
        x: 'kernel',
        y: 'labelMs',
        text: 'engine',
        fill: 'engine',
        textAnchor: 'start',
        dx: 8,
      }),
      Plot.text(shapes, {
        fy: (shape: string) => shape,
        text: (shape: string) => `depthwise convolution, [N, H, W, C] = [${shape.replaceAll(',', ', ')}]`,
        frameAnchor: 'top-left',
        dx: 6,
        dy: 6,
        fontWeight: 600,
      }),
    ],
  });
  return standalone(svg, document, { x: MARGIN.left, y: height - 8 }, sourceOf(machine));
}

function isPoint(row: OpRow): row is OpRow & Point {
  return typeof row.kernel === 'number' && row.correct && row.medianMs > 0;
}

/** The last point of each line, with labels moved apart where lines end close together. */
function endLabels(points: readonly Point[]): (Point & { readonly labelMs: number })[] {
  const logs = points.map((point) => Math.log(point.medianMs));
  const gap = ((Math.max(...logs) - Math.min(...logs)) * LABEL_PIXELS) / PANEL_HEIGHT;
  return [...new Set(points.map((point) => point.shape))].flatMap((shape) => {
    const ends = new Map<string, Point>();
    for (const point of points) {
      const end = ends.get(point.engine);
      if (point.shape === shape && (end === undefined || point.kernel > end.kernel))
        ends.set(point.engine, point);
    }
    const ordered = [...ends.values()].sort((a, b) => a.medianMs - b.medianMs);
    let floor = -Infinity;
    return ordered.map((point) => {
      floor = Math.max(Math.log(point.medianMs), floor + gap);
      return { ...point, labelMs: Math.exp(floor) };
    });
  });
}
