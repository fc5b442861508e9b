import * as Plot from '@observablehq/plot';

import { invalidArgument } from '../../core/errors.ts';
import type { AreaRatio, Erf } from '../erf.ts';
import { curvePanel } from './curves.ts';
import { WIDTH, drawFigure } from './figure.ts';
import type { FigureText, Panel } from './figure.ts';
import { percent } from './style.ts';

/** A receptive field and whose it is. */
export interface TitledErf {
  readonly title: string;
  readonly erf: Erf;
}

/** Pixels of a heat map in the picture; larger maps are averaged. */
const MAX_PIXELS = 512;
const COLUMNS = 4;
const CURVES = 320;
const MARGIN = { left: 20, right: 8, top: 4, bottom: 8 };
/** Sides of the squares are marked by lines that are solid, dashed, … */
const DASHES = ['none', '6 4', '2 3', '8 3 2 3'];

/**
 * Heat maps side by side, with the squares that hold shares of the heat, and below, for all, the share of the heat by the
 * area of the square. Encodes images with the package sharp. Throws `invalid-argument` if there is nothing to draw.
 */
export async function plotErfs(erfs: readonly TitledErf[], text: FigureText): Promise<string> {
  if (erfs.length === 0) throw invalidArgument('There is no receptive field to draw.');
  const columns = Math.min(COLUMNS, erfs.length);
  const width = Math.min(Math.floor(WIDTH / columns), 420);
  const panels: Panel[] = [];
  for (const { title, erf } of erfs) panels.push(heatPanel(title, erf, await heatImage(erf), width));
  const rows = Array.from({ length: Math.ceil(panels.length / columns) }, (_, i) =>
    panels.slice(i * columns, (i + 1) * columns),
  );
  const thresholds = erfs[0]?.erf.ratios.map(({ threshold }) => shareOf(threshold)).join(', ');
  const subtitle = [
    ...(text.subtitle ?? []),
    `Colours: log(score + 1), from dark (0) to bright (1). Squares: the smallest that hold ${thresholds ?? ''} of it.`,
  ];
  return drawFigure({ ...text, subtitle }, [...rows, [sharePanel(erfs)]]);
}

function heatPanel(title: string, { height, width, ratios }: Erf, image: string, size: number): Panel {
  const inner = size - MARGIN.left - MARGIN.right;
  const innerHeight = Math.round((inner * height) / width);
  const squares = ratios.map((ratio, i) => ({
    ...boundsOf(ratio, height, width),
    dash: DASHES[i % DASHES.length],
  }));
  return {
    width: size,
    height: innerHeight + MARGIN.top + MARGIN.bottom,
    heading: title,
    options: {
      marginLeft: MARGIN.left,
      marginRight: MARGIN.right,
      marginTop: MARGIN.top,
      marginBottom: MARGIN.bottom,
      x: { domain: [0, width], axis: null },
      y: { domain: [height, 0], axis: null },
      marks: [
        Plot.image([image], {
          x: width / 2,
          y: height / 2,
          width: inner,
          height: innerHeight,
          src: (src: string) => src,
          preserveAspectRatio: 'none',
        }),
        ...squares.map((square) =>
          Plot.rect([square], {
            ...{ x1: 'left', x2: 'right', y1: 'top', y2: 'bottom', fill: 'none', stroke: 'white' },
            strokeDasharray: square.dash ?? 'none',
            title: ({ threshold, ratio }: AreaRatio) =>
              `${shareOf(threshold)} in ${percent(ratio)} of the area`,
          }),
        ),
        Plot.text(squares, {
          x: 'left',
          y: 'top',
          text: ({ threshold, ratio }: AreaRatio) => `${shareOf(threshold)} in ${percent(ratio)}`,
          ...{ textAnchor: 'start', lineAnchor: 'top', dx: 4, dy: 3, fill: 'white', stroke: 'black' },
        }),
        Plot.frame({ stroke: '#888' }),
      ],
    },
  };
}

/** A square around the centre, clipped to the map. */
function boundsOf(ratio: AreaRatio, height: number, width: number) {
  const reach = (ratio.side - 1) / 2;
  const [y, x] = [Math.floor(height / 2), Math.floor(width / 2)];
  return {
    ...ratio,
    left: Math.max(0, x - reach),
    right: Math.min(width, x + reach + 1),
    top: Math.max(0, y - reach),
    bottom: Math.min(height, y + reach + 1),
  };
}

function sharePanel(erfs: readonly TitledErf[]): Panel {
  const thresholds = erfs[0]?.erf.ratios.map(({ threshold }) => threshold) ?? [];
  return curvePanel(
    erfs.map(({ title, erf: { shares, height, width } }) => ({
      name: title,
      points: Array.from(shares, (share, i) => {
        const side = 2 * i + 1;
        return [(Math.min(side, height) * Math.min(side, width)) / (height * width), share] as const;
      }),
    })),
    {
      width: WIDTH,
      height: CURVES,
      heading: 'Share of the heat in a centred square',
      x: { label: 'area of the square, share of the map', domain: [0, 1], format: percentTick },
      y: { label: 'share of the heat', domain: [0, 1], format: percentTick },
      marks: [Plot.ruleY(thresholds, { stroke: '#BBB', strokeDasharray: '3 3' })],
    },
  );
}

/** As short as it can be said: `20%`, `99.9%`. */
function shareOf(threshold: number): string {
  return `${Number((100 * threshold).toPrecision(6))}%`;
}

function percentTick(value: number): string {
  return `${Math.round(100 * value)}%`;
}

/** The heat as a PNG's data address. */
async function heatImage(erf: Erf): Promise<string> {
  const { heat, height, width } = shrunk(erf);
  const table = colourTable();
  const pixels = new Uint8Array(height * width * 3);
  heat.forEach((value, i) => {
    const at = 3 * Math.round(255 * Math.max(0, Math.min(1, value)));
    pixels.set(table.subarray(at, at + 3), 3 * i);
  });
  const { default: sharp } = await import('sharp');
  const png = await sharp(pixels, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
  return `data:image/png;base64,${png.toString('base64')}`;
}

/** Means of blocks of pixels, so that no side is longer than {@link MAX_PIXELS}. */
function shrunk({ heat, height, width }: Erf): Pick<Erf, 'heat' | 'height' | 'width'> {
  const block = Math.ceil(Math.max(height, width) / MAX_PIXELS);
  if (block === 1) return { heat, height, width };
  const [rows, columns] = [Math.ceil(height / block), Math.ceil(width / block)];
  const sums = new Float64Array(rows * columns);
  const counts = new Float64Array(rows * columns);
  heat.forEach((value, i) => {
    const at = Math.floor(Math.floor(i / width) / block) * columns + Math.floor((i % width) / block);
    sums[at] = (sums[at] ?? 0) + value;
    counts[at] = (counts[at] ?? 0) + 1;
  });
  return { heat: sums.map((sum, i) => sum / (counts[i] ?? 1)), height: rows, width: columns };
}

/** Red, green and blue of 256 steps of the scale `inferno`. */
function colourTable(): Uint8Array {
  const scale = Plot.scale({ color: { type: 'linear', domain: [0, 255], scheme: 'inferno' } });
  const table = new Uint8Array(3 * 256);
  for (let i = 0; i < 256; i++) table.set(parseColour(String(scale.apply(i))), 3 * i);
  return table;
}

/** `rgb(1, 2, 3)` or `#010203`. */
function parseColour(text: string): number[] {
  const numbers = text.startsWith('#')
    ? [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16))
    : (text.match(/\d+/g) ?? []).slice(0, 3).map(Number);
  return numbers.length === 3 ? numbers : [0, 0, 0];
}
