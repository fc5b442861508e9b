import * as Plot from '@observablehq/plot';

import { logTicks } from './style.ts';

/** One axis: what it shows, and its range. */
export interface Axis {
  readonly label: string;
  readonly domain: readonly [number, number];
  readonly type?: 'log' | 'linear';
  readonly ticks?: readonly number[];
  readonly format?: (value: number) => string;
  /** Pixels between the axis and its label. */
  readonly labelOffset: number;
}

/** Options of a scale, and the marks that draw its axis with grid lines. */
export interface DrawnAxis {
  readonly scale: Plot.ScaleOptions;
  readonly marks: readonly Plot.Markish[];
}

/**
 * An axis with grid lines and its label in the middle. Plot leaves out labels of logarithmic axes where it expects many, so
 * their ticks and texts are given.
 */
export function drawAxis(along: 'x' | 'y', axis: Axis): DrawnAxis {
  const { label, domain, type = 'linear', format = String, labelOffset } = axis;
  const ticks = axis.ticks ?? (type === 'log' ? logTicks(...domain) : undefined);
  const scale = { type, domain: [...domain], axis: null } as const;
  const options = { label, labelAnchor: 'center', labelArrow: 'none', labelOffset } as const;
  if (ticks === undefined) {
    const inferred = { ...options, tickFormat: format };
    const marks = along === 'x' ? [Plot.gridX(), Plot.axisX(inferred)] : [Plot.gridY(), Plot.axisY(inferred)];
    return { scale, marks };
  }
  const given = { ...options, text: (value: number) => format(value) };
  const marks =
    along === 'x'
      ? [Plot.gridX(ticks), Plot.axisX(ticks, given)]
      : [Plot.gridY(ticks), Plot.axisY(ticks, given)];
  return { scale, marks };
}
