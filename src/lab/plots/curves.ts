import * as Plot from '@observablehq/plot';

import { invalidArgument } from '../../core/errors.ts';
import { drawAxis } from './axes.ts';
import type { Axis } from './axes.ts';
import type { Panel } from './figure.ts';
import { labelWidth, seriesScale, spread } from './style.ts';

/** Least distance of two labels at the ends of curves. */
const LABEL_PIXELS = 14;
const MARGIN = { top: 10, bottom: 46, left: 66 };

/** A line through points, from left to right, with its name at the end. */
export interface Curve {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
  /** Curves of the same group have the same colour; default: each its own. */
  readonly group?: string;
  readonly dashed?: boolean;
  /** A dot at each point; default false. */
  readonly dots?: boolean;
}

export interface CurvePanelOptions {
  readonly width: number;
  readonly height: number;
  readonly heading?: string;
  readonly x: CurveAxis;
  readonly y: CurveAxis;
  /** More marks, drawn before the curves. */
  readonly marks?: readonly Plot.Markish[];
}

type CurveAxis = Pick<Axis, 'label' | 'type' | 'ticks' | 'format'> & Partial<Pick<Axis, 'domain'>>;

/**
 * Curves with their names at their ends, moved apart where they would overlap, so that no legend is needed.
 * Throws `invalid-argument` if there is nothing to draw.
 */
export function curvePanel(curves: readonly Curve[], options: CurvePanelOptions): Panel {
  const { width, height, heading, x, y, marks = [] } = options;
  const all = curves.flatMap(({ points }) => points);
  if (all.length === 0) throw invalidArgument('There is no curve to draw.');
  const groups = [...new Set(curves.map(groupOf))];
  const points = curves.flatMap((curve) =>
    curve.points.map(([px, py]) => ({
      curve: curve.name,
      group: groupOf(curve),
      dots: curve.dots,
      x: px,
      y: py,
    })),
  );
  const dashed = new Map(curves.map((curve) => [curve.name, curve.dashed === true]));
  const isDashed = (point: { readonly curve: string }): boolean => dashed.get(point.curve) === true;
  const yDomain =
    y.domain ??
    extentOf(
      all.map(([, py]) => py),
      y.type,
    );
  const xDomain =
    x.domain ??
    extentOf(
      all.map(([px]) => px),
      x.type,
      true,
    );
  const xAxis = drawAxis('x', { ...x, domain: xDomain, labelOffset: 36 });
  const yAxis = drawAxis('y', { ...y, domain: yDomain, labelOffset: 54 });
  const line = { x: 'x', y: 'y', z: 'curve', stroke: 'group', strokeWidth: 2 } as const;
  return {
    width,
    height,
    ...(heading !== undefined && { heading }),
    options: {
      marginTop: MARGIN.top,
      marginBottom: MARGIN.bottom,
      marginLeft: MARGIN.left,
      marginRight:
        20 +
        labelWidth(
          curves.map(({ name }) => name),
          'bold',
        ),
      x: { ...xAxis.scale, insetLeft: 4, insetRight: 4 },
      y: yAxis.scale,
      color: seriesScale(groups),
      marks: [
        ...xAxis.marks,
        ...yAxis.marks,
        ...marks,
        Plot.line(
          points.filter((point) => !isDashed(point)),
          line,
        ),
        Plot.line(points.filter(isDashed), { ...line, strokeDasharray: '6 4' }),
        Plot.dot(points, {
          x: 'x',
          y: 'y',
          symbol: 'group',
          fill: 'group',
          r: 3.5,
          filter: (point: { readonly dots: boolean | undefined }) => point.dots === true,
        }),
        ...endLabels(curves, { type: y.type ?? 'linear', domain: yDomain, height }),
        Plot.ruleY([yDomain[0]]),
      ],
    },
  };
}

function endLabels(
  curves: readonly Curve[],
  { type, domain, height }: { type: 'log' | 'linear'; domain: readonly [number, number]; height: number },
): Plot.Markish[] {
  const [forward, back] = type === 'log' ? [Math.log, Math.exp] : [(v: number) => v, (v: number) => v];
  const [from, to] = [forward(domain[0]), forward(domain[1])];
  const gap = ((to - from) * LABEL_PIXELS) / (height - MARGIN.top - MARGIN.bottom);
  const ends = curves.flatMap((curve) => {
    const end = curve.points.at(-1);
    return end === undefined ? [] : [{ name: curve.name, group: groupOf(curve), x: end[0], y: end[1] }];
  });
  const labels = spread(
    ends.map((end) => forward(end.y)),
    gap,
    [from, to],
  );
  const placed = ends.map((end, i) => ({ ...end, labelY: back(labels[i] ?? 0) }));
  return [
    Plot.text(placed, {
      x: 'x',
      y: 'labelY',
      text: 'name',
      fill: 'group',
      textAnchor: 'start',
      dx: 10,
      fontWeight: 600,
    }),
  ];
}

function groupOf({ group, name }: Curve): string {
  return group ?? name;
}

/** Linear axes of values start at 0; logarithmic ones have some room. */
export function extentOf(
  values: readonly number[],
  type: 'log' | 'linear' = 'linear',
  tight = false,
): readonly [number, number] {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  if (tight) return [least, most];
  return type === 'log' ? [least / 1.25, most * 1.25] : [0, most * 1.05];
}
