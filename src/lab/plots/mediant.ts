import * as Plot from '@observablehq/plot';

import type { EfficiencyAtRatio } from '../mediant.ts';
import { curvePanel } from './curves.ts';
import type { Curve } from './curves.ts';
import { WIDTH, drawFigure } from './figure.ts';
import type { FigureText } from './figure.ts';
import { digits, percent } from './style.ts';

/** A network's highest efficiency against op:byte ratios. */
export interface MediantCurve {
  readonly title: string;
  readonly points: readonly EfficiencyAtRatio[];
}

/**
 * Highest efficiency against op:byte ratios, for each network by one roofline for each kernel (solid) and by one for the
 * whole at its mediant intensity (dashed).
 */
export function plotMediant(
  curves: readonly MediantCurve[],
  { opByte, ...text }: FigureText & { /** A device's, marked. */ readonly opByte?: number },
): string {
  const lines = curves.flatMap(({ title, points }): Curve[] => [
    { name: title, group: title, points: points.map((point) => [point.opByte, point.waterline]) },
    {
      name: `${title}, mediant`,
      group: title,
      dashed: true,
      points: points.map((point) => [point.opByte, point.mediant]),
    },
  ]);
  const panel = curvePanel(lines, {
    width: WIDTH + 60,
    height: 460,
    x: { label: 'op:byte ratio of the device' },
    y: { label: 'highest efficiency', domain: [0, 1], format: (share) => percent(share).replace('.0', '') },
    marks:
      opByte === undefined
        ? []
        : [
            Plot.ruleX([opByte], { stroke: '#8A8A8A', strokeDasharray: '2 3' }),
            Plot.text([`this device: ${digits(opByte)}`], {
              x: opByte,
              y: () => 0.03,
              textAnchor: 'start',
              dx: 5,
              fill: '#595959',
            }),
          ],
  });
  return drawFigure(text, [[panel]]);
}
