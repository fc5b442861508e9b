import { curvePanel } from './curves.ts';
import type { Curve } from './curves.ts';
import { WIDTH } from './figure.ts';
import type { Panel } from './figure.ts';

/** The share of a run that is left out of the axis: its first steps would flatten all the others. */
const START = 0.05;
const STEP = 10;

/**
 * Accuracies in percent over epochs, on an axis that begins where curves are after the start of the run.
 *
 * @param end of the axis, in epochs
 */
export function accuracyPanel(
  curves: readonly Curve[],
  { end, height, heading }: { readonly end: number; readonly height: number; readonly heading: string },
): Panel {
  const values = curves.flatMap(({ points }) =>
    points.flatMap(([epochs, percent]) => (epochs >= START * end ? [percent] : [])),
  );
  const least = Math.max(0, STEP * Math.floor(Math.min(...values, 100 - STEP) / STEP));
  const shown = curves.map((curve) => ({
    ...curve,
    points: curve.points.filter(([, percent]) => percent >= least),
  }));
  return curvePanel(
    shown.filter(({ points }) => points.length > 0),
    {
      ...{ width: WIDTH, height, heading },
      x: { label: 'epochs', domain: [0, end] },
      y: { label: '% of images', domain: [least, 100], format: String },
    },
  );
}
