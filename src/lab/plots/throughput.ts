import type { DepthwiseBound, ThroughputBound } from '../throughput.ts';
import { barPanel } from './bars.ts';
import type { Bar } from './bars.ts';
import { curvePanel } from './curves.ts';
import { WIDTH, drawFigure } from './figure.ts';
import type { FigureText } from './figure.ts';
import { digits, percent } from './style.ts';

/** Measured images a second beside what layer-wise execution could attain. */
export function plotThroughput(rows: readonly ThroughputBound[], text: FigureText): string {
  const bars = rows.flatMap(({ title, measured, bound, share }): Bar[] => [
    {
      row: title,
      series: 'measured',
      value: measured,
      text: `${digits(measured)} measured (${percent(share)})`,
    },
    { row: title, series: 'at most', value: bound, text: `${digits(bound)} at most` },
  ]);
  return drawFigure(text, [[barPanel(bars, { label: 'images a second' })]]);
}

/** One depthwise layer's measured times and least times, for full and for decomposed kernels, over the map's size. */
export function plotDepthwise(rows: readonly DepthwiseBound[], text: FigureText): string {
  const curves = [
    { name: '51×51, measured', group: 'full', value: ({ fullMs }: DepthwiseBound) => fullMs },
    { name: '51×51, at least', group: 'full', dashed: true, value: (row: DepthwiseBound) => row.fullBoundMs },
    { name: '51×5 + 5×51, measured', group: 'decomposed', value: (row: DepthwiseBound) => row.decomposedMs },
    {
      ...{ name: '51×5 + 5×51, at least', group: 'decomposed', dashed: true },
      value: (row: DepthwiseBound) => row.decomposedBoundMs,
    },
  ].map(({ value, ...curve }) => ({
    ...curve,
    dots: true,
    points: rows.map((row) => [row.size, value(row)] as const),
  }));
  const panel = curvePanel(curves, {
    width: WIDTH,
    height: 400,
    x: { label: 'map size R (R × R pixels)', type: 'log', ticks: rows.map(({ size }) => size) },
    y: { label: 'time, ms', type: 'log' },
  });
  return drawFigure(text, [[panel]]);
}
