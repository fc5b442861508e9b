import type { ScalingPoint, Size } from '../scaling.ts';
import { curvePanel } from './curves.ts';
import type { Curve } from './curves.ts';
import { WIDTH, drawFigure } from './figure.ts';
import type { FigureText } from './figure.ts';

/** Parameters and multiply-accumulates as kernels grow: full kernels, decomposed ones, and those sparse. */
export function plotScaling(sweep: readonly ScalingPoint[], text: FigureText): string {
  const curves = (value: (size: Size) => number): Curve[] => [
    { name: 'full', dots: true, points: sweep.map((point) => [point.kernel, value(point.full)]) },
    { name: 'decomposed', dots: true, points: sweep.map((point) => [point.kernel, value(point.decomposed)]) },
    { name: 'sparse 40%', dots: true, points: sweep.map((point) => [point.kernel, value(point.sparse)]) },
  ];
  const panel = (heading: string, label: string, value: (size: Size) => number) =>
    curvePanel(curves(value), {
      width: WIDTH / 2,
      height: 380,
      heading,
      x: { label: 'kernel size K of the first stage' },
      y: { label },
    });
  return drawFigure(text, [
    [
      panel('Parameters', 'millions', ({ parameters }) => parameters / 1e6),
      panel('Multiply-accumulates of one image', 'GMAC', ({ macs }) => macs / 1e9),
    ],
  ]);
}
