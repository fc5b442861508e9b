import * as Plot from '@observablehq/plot';

import type { LargeKernelStudy } from '../large-kernels.ts';
import { attainable } from '../roofline.ts';
import type { Roofline, RooflinePoint } from '../roofline.ts';
import { drawAxis } from './axes.ts';
import { curvePanel } from './curves.ts';
import { WIDTH, drawFigure } from './figure.ts';
import type { FigureText, Panel } from './figure.ts';
import { WATER, digits } from './style.ts';

const HEIGHT = 430;
const TERA = 1e12;

interface Mark extends RooflinePoint {
  readonly series: string;
  readonly label: string;
  /** Where the label stands. */
  readonly above: boolean;
}

/**
 * The study of large kernels: dense convolution, im2col and direct depthwise convolutions of growing kernels under the
 * roofline, both axes logarithmic; and the least time of the layer against the kernel size.
 */
export function plotLargeKernels(study: LargeKernelStudy, text: FigureText): string {
  return drawFigure(text, [[rooflinePanel(study, marksOf(study))], [timePanel(study)]]);
}

const FORWARD = 'direct, forward and gradient to the input';
const WEIGHTS = 'direct, gradient to the weights';
const IM2COL = 'depthwise as im2col';
const DENSE = 'dense';

function marksOf({ dense, im2col, direct }: LargeKernelStudy): Mark[] {
  return [
    { ...dense, series: DENSE, label: dense.name, above: false },
    ...im2col.map((point, i) => ({
      ...point,
      series: IM2COL,
      // Beyond one column, all of them lie close to the limit.
      label: i === 0 || i === im2col.length - 1 ? point.name.replace('depthwise as ', '') : '',
      above: false,
    })),
    ...direct.flatMap((point): Mark[] => {
      // The gradient to the input is a convolution of the same sizes: the same point.
      if (point.pass === 'input-gradient') return [];
      const forward = point.pass === 'forward';
      const label = forward ? `${point.kernel}×${point.kernel}` : '';
      return [{ ...point, series: forward ? FORWARD : WEIGHTS, label, above: true }];
    }),
  ];
}

const SERIES = {
  domain: [FORWARD, WEIGHTS, IM2COL, DENSE],
  range: ['#0072B2', '#E69F00', '#D55E00', '#000000'],
};
const SYMBOLS = { domain: SERIES.domain, range: ['circle', 'triangle', 'square', 'diamond2'] as const };

function rooflinePanel(
  roofline: Roofline & { readonly ridge: number; readonly memory: string },
  marks: readonly Mark[],
): Panel {
  const intensities = marks.map(({ intensity }) => intensity);
  const [from, to] = [Math.min(...intensities) / 2, 2.5 * Math.max(...intensities, roofline.ridge)];
  const roof = [from, roofline.ridge, to].map((x) => ({ x, y: attainable(roofline, x) / TERA }));
  const [low, high] = [(roof[0]?.y ?? 1) / 1.5, (2 * roofline.peak) / TERA];
  const legend = SERIES.domain.filter((series) => marks.some((mark) => mark.series === series));
  const x = drawAxis('x', {
    label: `intensity, op/byte of ${roofline.memory}`,
    type: 'log',
    domain: [from, to],
    labelOffset: 36,
  });
  const y = drawAxis('y', {
    label: 'attainable, TFLOP/s',
    type: 'log',
    domain: [low, high],
    labelOffset: 54,
  });
  return {
    width: WIDTH,
    height: HEIGHT,
    options: {
      marginTop: 10,
      marginBottom: 46,
      marginLeft: 66,
      marginRight: 40,
      x: x.scale,
      y: y.scale,
      color: SERIES,
      symbol: { domain: SYMBOLS.domain, range: [...SYMBOLS.range] },
      marks: [
        ...x.marks,
        ...y.marks,
        Plot.areaY(roof, { x: 'x', y1: low, y2: 'y', fill: WATER, fillOpacity: 0.1 }),
        Plot.line(roof, { x: 'x', y: 'y', stroke: '#222222', strokeWidth: 2 }),
        ...roofLabels(roofline, low, to),
        Plot.dot(marks, {
          x: 'intensity',
          y: (mark: Mark) => mark.attainable / TERA,
          fill: 'series',
          symbol: 'series',
          r: 4.5,
          title: 'name',
        }),
        ...pointLabels(marks),
        ...legendMarks(legend, to, low, high),
      ],
    },
  };
}

function roofLabels(
  roofline: Roofline & { readonly ridge: number; readonly memory: string },
  low: number,
  to: number,
): Plot.Markish[] {
  const { peak, bandwidth, ridge, memory } = roofline;
  const bold = { fontWeight: 600, textAnchor: 'end' } as const;
  const slope = ridge / 2.6;
  return [
    Plot.link([ridge], {
      x1: ridge,
      x2: ridge,
      y1: low,
      y2: peak / TERA,
      stroke: '#8A8A8A',
      strokeDasharray: '2 3',
    }),
    Plot.text([`ridge ${digits(ridge)}`], { x: ridge, y: () => low, textAnchor: 'start', dx: 5, dy: -10 }),
    Plot.text([`peak ${digits(peak / TERA)} TFLOP/s`], { x: to, y: () => peak / TERA, dy: -30, ...bold }),
    Plot.text([`${memory} ${digits(bandwidth / 1e9)} GB/s`], {
      ...{ x: slope, y: () => (bandwidth * slope) / TERA, dx: -22, dy: -14, ...bold },
    }),
  ];
}

function pointLabels(marks: readonly Mark[]): Plot.Markish[] {
  const y = (mark: Mark): number => mark.attainable / TERA;
  const labelled = marks.filter(({ label }) => label !== '');
  const sparse = thin(labelled.filter(({ above }) => above));
  return [
    Plot.text(sparse, { x: 'intensity', y, text: 'label', dx: -12, dy: -13, fill: 'series' }),
    Plot.text(
      labelled.filter(({ above }) => !above),
      {
        ...{ x: 'intensity', y, text: 'label', textAnchor: 'start', dx: 9, dy: 13, fill: 'series' },
      },
    ),
  ];
}

/** Those whose labels have room: their intensities are half as high again as that of the one before. */
function thin(marks: readonly Mark[]): Mark[] {
  return marks.reduce<Mark[]>((kept, mark) => {
    const last = kept.at(-1);
    return last === undefined || mark.intensity > 1.5 * last.intensity ? [...kept, mark] : kept;
  }, []);
}

/** Symbols and their meaning, in the lower right, where no point can be. */
function legendMarks(series: readonly string[], x: number, low: number, high: number): Plot.Markish[] {
  const step = (high / low) ** (1 / 20);
  const rows = series.map((name, i) => ({ name, x: x * 0.95, y: low * step ** (1 + series.length - i) }));
  return [
    Plot.dot(rows, { x: 'x', y: 'y', fill: 'name', symbol: 'name', r: 4.5 }),
    Plot.text(rows, { x: 'x', y: 'y', text: 'name', textAnchor: 'end', dx: -10 }),
  ];
}

function timePanel({ direct }: LargeKernelStudy): Panel {
  const forward = direct.filter(({ pass }) => pass === 'forward');
  const weights = direct.filter(({ pass }) => pass === 'weight-gradient');
  const ms = (us: number): number => us / 1e3;
  return curvePanel(
    [
      { name: 'direct', dots: true, points: forward.map((p) => [p.kernel, ms(p.timeUs)]) },
      { name: 'direct, weight gradient', dots: true, points: weights.map((p) => [p.kernel, ms(p.timeUs)]) },
      { name: 'im2col, at best', dots: true, points: forward.map((p) => [p.kernel, ms(p.im2colUs)]) },
    ],
    {
      width: WIDTH,
      height: 320,
      heading: 'Least time of the whole layer',
      x: { label: 'kernel size K (K × K taps)', ticks: forward.map(({ kernel }) => kernel) },
      y: { label: 'time, ms', type: 'log' },
    },
  );
}
