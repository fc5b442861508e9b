import { barPanel } from './bars.ts';
import type { Bar } from './bars.ts';
import { drawFigure } from './figure.ts';
import type { FigureText } from './figure.ts';
import { digits } from './style.ts';

/** One block's latencies in microseconds, by what they are: `layer-wise, at least`, `fused, measured`. */
export interface BlockTimes {
  readonly block: string;
  readonly times: readonly { readonly what: string; readonly us: number }[];
}

/** Blocks' latencies as bars on a logarithmic axis, each with its meaning and its value. */
export function plotBlocks(blocks: readonly BlockTimes[], text: FigureText): string {
  const bars = blocks.flatMap(({ block, times }) =>
    times.map(({ what, us }): Bar => ({
      row: block,
      series: what,
      value: us,
      text: `${digits(us)} µs ${what}`,
    })),
  );
  const panel = barPanel(bars, { label: 'time, µs', type: 'log' });
  return drawFigure(text, [[panel]]);
}
