import * as Plot from '@observablehq/plot';

import { invalidArgument } from '../../core/errors.ts';
import type { KernelKind } from '../kernel-kind.ts';
import type { Waterline, WaterlineKernel } from '../waterline.ts';
import { drawAxis } from './axes.ts';
import { WIDTH, drawFigure } from './figure.ts';
import type { FigureText, Panel } from './figure.ts';
import { KIND_SCALE, WATER, digits, percent } from './style.ts';

const HEIGHT = 300;
const LANE = 19;
const MARGIN = { left: 150, right: 130, top: 10 };
const AXIS = 38;
/** Kernels of a smaller share of the axis are too thin for lines around them. */
const THIN = 0.006;

/** A waterline and what it is of, such as a network. */
export interface TitledWaterline {
  readonly title: string;
  readonly line: Waterline;
}

export interface WaterlinePlotOptions extends FigureText {
  /** Of the intensities; default `log`. */
  readonly scale?: 'log' | 'linear';
  /** One time axis for all, so that their latencies compare; default false. */
  readonly sameTime?: boolean;
}

interface Bar extends WaterlineKernel {
  readonly startMs: number;
  readonly endMs: number;
}

/**
 * Waterline plots below each other: a rectangle for each kernel, as wide as its least time and as high as its intensity,
 * and the line at the device's op:byte ratio, under which memory bounds kernels. Below, a lane for each kind of kernel
 * with its share of the time, which tells kinds apart without colours and shows kernels without operations.
 */
export function plotWaterlines(
  waterlines: readonly TitledWaterline[],
  { scale = 'log', sameTime = false, ...text }: WaterlinePlotOptions,
): string {
  if (waterlines.some(({ line }) => line.kernels.length === 0)) {
    throw invalidArgument('A waterline plot needs at least one kernel.');
  }
  const longest = Math.max(...waterlines.map(({ line }) => line.minLatencyMs));
  const rows = waterlines.flatMap(({ title, line }): Panel[][] => {
    const bars = barsOf(line);
    const end = sameTime ? longest : line.minLatencyMs;
    return [[intensityPanel(headingOf(title, line), line, bars, end, scale)], [lanePanel(line, bars, end)]];
  });
  return drawFigure(text, rows);
}

function headingOf(title: string, line: Waterline): string {
  const facts = `at least ${digits(line.minLatencyMs)} ms, at most ${percent(line.maxEfficiency)} of the peak`;
  return `${title}: ${facts}, ${percent(line.underwaterShare)} of the time under water`;
}

function barsOf({ kernels }: Waterline): Bar[] {
  let at = 0;
  return kernels.map((kernel) => {
    const startMs = at;
    at += kernel.timeUs / 1e3;
    return { ...kernel, startMs, endMs: at };
  });
}

function intensityPanel(
  heading: string,
  { opByte }: Waterline,
  bars: readonly Bar[],
  end: number,
  scale: 'log' | 'linear',
): Panel {
  const intensities = bars.map(({ intensity }) => intensity).filter((intensity) => intensity > 0);
  const top = 1.15 * Math.max(opByte, ...intensities);
  const floor =
    scale === 'log' ? Math.min(1, 10 ** Math.floor(Math.log10(Math.min(opByte, ...intensities)))) : 0;
  const high = bars.filter(({ intensity }) => intensity > floor);
  const y = drawAxis('y', {
    label: 'intensity, op/byte',
    domain: [floor, top],
    type: scale,
    labelOffset: 60,
  });
  return {
    width: WIDTH,
    height: HEIGHT,
    heading,
    options: {
      marginTop: MARGIN.top,
      marginLeft: MARGIN.left,
      marginRight: MARGIN.right,
      marginBottom: 4,
      x: { domain: [0, end], axis: null },
      y: y.scale,
      color: KIND_SCALE,
      marks: [
        ...y.marks,
        Plot.rect([opByte], { x1: 0, x2: end, y1: floor, y2: opByte, fill: WATER, fillOpacity: 0.13 }),
        // Lines between kernels, where there is room for them.
        ...[true, false].map((isWide) =>
          Plot.rect(
            high.filter((bar) => bar.endMs - bar.startMs > THIN * end === isWide),
            {
              ...{ x1: 'startMs', x2: 'endMs', y1: floor, y2: 'intensity', fill: 'kind' },
              ...(isWide && { stroke: 'white', strokeWidth: 0.35 }),
              title: describe,
            },
          ),
        ),
        Plot.ruleY([opByte], { stroke: '#0072B2', strokeWidth: 2 }),
        Plot.text([`waterline:\nop:byte ${digits(opByte)}`], {
          x: end,
          y: () => opByte,
          textAnchor: 'start',
          dx: 6,
          fill: '#00507D',
          fontWeight: 600,
        }),
        Plot.ruleY([floor]),
      ],
    },
  };
}

function describe({ name, kind, intensity, timeUs }: Bar): string {
  return `${name} (${kind}): ${digits(intensity)} op/byte, ${digits(timeUs)} µs`;
}

function lanePanel({ minLatencyMs }: Waterline, bars: readonly Bar[], end: number): Panel {
  const time = new Map<KernelKind, number>();
  for (const bar of bars) time.set(bar.kind, (time.get(bar.kind) ?? 0) + bar.timeUs / 1e3);
  const kinds = [...time].map(([kind, ms]) => ({ kind, ms })).sort((a, b) => b.ms - a.ms);
  return {
    width: WIDTH,
    height: kinds.length * LANE + AXIS + 20,
    options: {
      marginTop: 2,
      marginLeft: MARGIN.left,
      marginRight: MARGIN.right,
      marginBottom: AXIS + 18,
      x: {
        domain: [0, end],
        label: 'time, ms',
        labelAnchor: 'center',
        labelArrow: false,
        labelOffset: 34,
        ticks: 8,
      },
      y: { domain: kinds.map(({ kind }) => kind), label: null, tickSize: 0, padding: 0.12 },
      color: KIND_SCALE,
      marks: [
        Plot.rect(kinds, { x1: 0, x2: end, y: 'kind', fill: '#F3F3F3' }),
        Plot.rect(bars, { x1: 'startMs', x2: 'endMs', y: 'kind', fill: 'kind' }),
        Plot.text(kinds, {
          x: end,
          y: 'kind',
          text: ({ ms }: { ms: number }) => `${percent(ms / minLatencyMs)} of the time`,
          textAnchor: 'start',
          dx: 6,
        }),
      ],
    },
  };
}
