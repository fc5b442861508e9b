import * as Plot from '@observablehq/plot';

import { invalidArgument } from '../../core/errors.ts';
import type { GapPoint } from '../efficiency.ts';
import { drawAxis } from './axes.ts';
import { drawFigure } from './figure.ts';
import type { FigureText, Panel } from './figure.ts';
import { percent, seriesScale, spread } from './style.ts';

const WIDTH = 650;
const LABEL_PIXELS = 14;
/** Percent of accuracy within which points of one network cover labels of another. */
const CLOSE_ACCURACY = 0.15;
const MARGIN = { top: 12, bottom: 46, left: 72, right: 170 };

interface Row extends GapPoint {
  readonly family: string;
  /** Accuracy at which the label stands, so that labels do not overlap. */
  readonly labelAt: number;
}

/**
 * The efficiency-gap plot: accuracy against latency, on a linear and on a logarithmic axis. Each network has a hollow point
 * at its ideal latency and a filled one at its actual latency, joined by a line with its computational efficiency. On the
 * logarithmic axis the line is −log₁₀ of that long.
 */
export function plotGap(points: readonly GapPoint[], text: FigureText): string {
  if (points.length === 0) throw invalidArgument('There is no network to plot.');
  const accuracies = points.map(({ accuracy }) => accuracy);
  const room = 0.25;
  const domain = [Math.min(...accuracies) - room, Math.max(...accuracies) + room] as const;
  const height = MARGIN.top + MARGIN.bottom + Math.max(200, points.length * LABEL_PIXELS * 3.2);
  const gap = ((domain[1] - domain[0]) * LABEL_PIXELS) / (height - MARGIN.top - MARGIN.bottom);
  const labels = spread(accuracies, gap, domain);
  const rows = points.map((point, i) => ({
    ...point,
    family: familyOf(point.model),
    labelAt: labels[i] ?? point.accuracy,
  }));
  return drawFigure(text, [
    [gapPanel(rows, { type: 'linear', domain, height }), gapPanel(rows, { type: 'log', domain, height })],
  ]);
}

/** Networks of a family share colour and symbol: `efficientnet-v2-s` and `efficientnet-b0` are two. */
function familyOf(model: string): string {
  return /^[a-z]+(-v\d+)?/.exec(model)?.[0] ?? model;
}

function gapPanel(
  rows: readonly Row[],
  { type, domain, height }: { type: 'log' | 'linear'; domain: readonly [number, number]; height: number },
): Panel {
  const most = Math.max(...rows.map(({ actualMs }) => actualMs));
  const least = Math.min(...rows.map(({ idealMs }) => idealMs));
  const [from, to] = type === 'log' ? [least / 1.3, most * 1.1] : [0, most * 1.03];
  const families = [...new Set(rows.map(({ family }) => family))];
  const y = 'accuracy';
  const x = drawAxis('x', {
    label: 'latency, ms (○ ideal, ● actual, efficiency C between them)',
    type,
    domain: [from, to],
    labelOffset: 36,
  });
  const accuracy = drawAxis('y', {
    label: 'top-1 accuracy, %',
    domain,
    format: (value) => value.toFixed(1),
    labelOffset: 54,
  });
  return {
    width: WIDTH,
    height,
    heading: type === 'log' ? 'Logarithmic latency' : 'Linear latency',
    options: {
      marginTop: MARGIN.top,
      marginBottom: MARGIN.bottom,
      marginLeft: MARGIN.left,
      marginRight: MARGIN.right,
      x: x.scale,
      y: accuracy.scale,
      color: seriesScale(families),
      marks: [
        ...x.marks,
        ...accuracy.marks,
        ...(type === 'log' ? [efficiencyLabels(rows, to / from)] : []),
        Plot.link(rows, {
          ...{ x1: 'idealMs', x2: 'actualMs', y1: y, y2: y, stroke: 'family', strokeWidth: 2 },
        }),
        Plot.link(rows, {
          ...{ x1: 'actualMs', x2: to, y1: y, y2: 'labelAt', stroke: '#8A8A8A', strokeWidth: 0.6 },
          strokeDasharray: '1 3',
        }),
        Plot.dot(rows, { x: 'idealMs', y, stroke: 'family', fill: 'white', r: 4, strokeWidth: 2 }),
        Plot.dot(rows, { x: 'actualMs', y, fill: 'family', r: 4.5 }),
        Plot.text(rows, {
          ...{
            x: to,
            y: 'labelAt',
            fill: 'family',
            textAnchor: 'start',
            dx: 5,
            fontSize: 11,
            fontWeight: 600,
          },
          text: ({ title, efficiency }: Row) => `${title} ${percent(efficiency)}`,
        }),
      ],
    },
  };
}

/**
 * C above each line: in its middle, which on a logarithmic axis is the geometric mean, or else where no point of a network
 * just above is in the way.
 */
function efficiencyLabels(rows: readonly Row[], range: number): Plot.Markish {
  const pixels = (WIDTH - MARGIN.left - MARGIN.right) / Math.log(range);
  const near = (a: number, b: number): boolean => Math.abs(Math.log(a / b)) * pixels < 24;
  const placed = rows.flatMap((row) => {
    const above = rows.filter(
      ({ accuracy }) => accuracy > row.accuracy && accuracy < row.accuracy + CLOSE_ACCURACY,
    );
    const points = above.flatMap(({ idealMs, actualMs }) => [idealMs, actualMs]);
    const places = [0.5, 0.35, 0.65, 0.25, 0.75].map(
      (share) => row.idealMs * (row.actualMs / row.idealMs) ** share,
    );
    const free = places.find((place) => !points.some((point) => near(point, place)));
    // Where there is no place, the label at the right says it alone.
    return free === undefined ? [] : [{ ...row, place: free }];
  });
  return Plot.text(placed, {
    ...{ x: 'place', y: 'accuracy', dy: -7, fontSize: 9.5, stroke: 'white', fill: '#222222' },
    text: ({ efficiency }: Row) => percent(efficiency),
  });
}
