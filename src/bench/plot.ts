import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';

import { invalidArgument } from '../core/errors.ts';
import type { BenchReport, Row } from './report.ts';

/** The colours of Okabe and Ito (2008), which people with any colour vision can tell apart. */
const COLOURS: Readonly<Record<string, string>> = {
  'widefield-native': '#0072B2',
  'widefield-wasm': '#56B4E9',
  'onnxruntime-node': '#D55E00',
  'onnxruntime-web': '#E69F00',
  tfjs: '#009E73',
  'jax-js': '#CC79A7',
  pytorch: '#000000',
  'pytorch-channels-last': '#777777',
};
const OTHER_COLOUR = '#999999';

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
    color: { domain: Object.keys(COLOURS), range: Object.values(COLOURS), unknown: OTHER_COLOUR },
    marks: [
      Plot.frame({ stroke: '#ccc' }),
      Plot.lineY(points, { fy: 'shape', x: 'kernel', y: 'medianMs', stroke: 'engine', strokeWidth: 2 }),
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
  return standalone(
    svg,
    document,
    height,
    `${machine.cpu}, ${machine.threads} threads, Node ${machine.node}`,
  );
}

function isPoint(row: Row): row is Row & Point {
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

/** Adds what an SVG needs outside of a page: its namespace, a background, and where the numbers come from. */
function standalone(svg: Element, document: Document, height: number, source: string): string {
  const namespace = 'http://www.w3.org/2000/svg';
  svg.setAttribute('xmlns', namespace);
  const background = document.createElementNS(namespace, 'rect');
  background.setAttribute('width', '100%');
  background.setAttribute('height', '100%');
  background.setAttribute('fill', 'white');
  const note = document.createElementNS(namespace, 'text');
  note.setAttribute('x', String(MARGIN.left));
  note.setAttribute('y', String(height - 8));
  note.setAttribute('fill', '#666');
  note.setAttribute('text-anchor', 'start');
  note.textContent = source;
  svg.querySelector('style')?.after(background);
  svg.append(note);
  return `${svg.outerHTML}\n`;
}
