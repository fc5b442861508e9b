import type { AmdahlStep } from '../amdahl.ts';
import { barPanel } from './bars.ts';
import { drawFigure } from './figure.ts';
import type { FigureText } from './figure.ts';
import { KIND_SCALE, digits, percent } from './style.ts';

/**
 * Amdahl's roofline: how much faster the whole would be if memory-bound kernels, all of a kind or one, ran at the peak rate.
 * Bars start at ×1.
 */
export function plotAmdahl(
  kinds: readonly AmdahlStep[],
  steps: readonly AmdahlStep[],
  text: FigureText,
): string {
  const most = Math.max(...kinds.map(({ speedup }) => speedup), ...steps.map(({ speedup }) => speedup));
  const panel = (heading: string, list: readonly AmdahlStep[]) =>
    barPanel(
      list.map((step) => ({
        row: step.name,
        series: step.kind,
        value: step.speedup,
        text: `×${step.speedup < 10 ? step.speedup.toFixed(step.speedup < 1.1 ? 3 : 2) : digits(step.speedup)}  ${describe(step)}`,
      })),
      {
        heading,
        label: 'speed-up of the whole network',
        from: 1,
        to: most,
        labels: [...kinds, ...steps].map(({ name }) => name),
        series: KIND_SCALE,
      },
    );
  const panels = [
    ...(kinds.length > 0 ? [[panel('All memory-bound kernels of a kind', kinds)]] : []),
    ...(steps.length > 0 ? [[panel('One memory-bound kernel', steps)]] : []),
  ];
  return drawFigure(text, panels);
}

function describe({ kind, count, memoryShare, computeShare }: AmdahlStep): string {
  const what = count === 1 ? kind : `${count} kernels`;
  return `(${what}: ${percent(memoryShare)} of the time, then ${percent(computeShare)})`;
}
