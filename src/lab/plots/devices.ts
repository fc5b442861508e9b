import * as Plot from '@observablehq/plot';

import { attainable } from '../roofline.ts';
import { DTYPES, defaultDtype, opByteRatio, peakOf } from '../devices.ts';
import type { DeviceRecord } from '../devices.ts';
import { drawAxis } from './axes.ts';
import { curvePanel, extentOf } from './curves.ts';
import type { Curve } from './curves.ts';
import { WIDTH, drawFigure } from './figure.ts';
import type { FigureText, Panel } from './figure.ts';
import { PALETTE, digits, spread } from './style.ts';

/** Rooflines of one device: one for each data type over its DRAM, and for each cache whose bandwidth is known. */
export function plotDevice(device: DeviceRecord, text: FigureText): string {
  const dtypes = DTYPES.filter((dtype) => device.peak[dtype] !== undefined);
  const memories = [
    { name: '', bandwidth: device.bandwidth },
    ...(device.caches ?? []).flatMap(({ name, bandwidth }) =>
      bandwidth === undefined ? [] : [{ name: ` from ${name}`, bandwidth }],
    ),
  ];
  const ridges = dtypes.flatMap((dtype) =>
    memories.map(({ bandwidth }) => peakOf(device, dtype) / bandwidth),
  );
  const [from, to] = [Math.min(...ridges) / 30, Math.max(...ridges) * 5];
  const xs = [from, ...ridges, to].sort((a, b) => a - b);
  // Data types of the same rate are one line.
  const byPeak = new Map<number, string>();
  for (const dtype of dtypes) {
    const peak = peakOf(device, dtype);
    byPeak.set(peak, [byPeak.get(peak), dtype].filter((name) => name !== undefined).join(', '));
  }
  const curves = [...byPeak].flatMap(([peak, names]) =>
    memories.map(({ name, bandwidth }): Curve => ({
      name: `${names}${name}: ${digits(peak / 1e12)} TFLOP/s`,
      group: names,
      dashed: name !== '',
      points: xs.map((x) => [x, attainable({ peak, bandwidth }, x) / 1e12]),
    })),
  );
  const panel = curvePanel(curves, {
    width: WIDTH,
    height: 420,
    x: { label: 'intensity, op/byte', type: 'log' },
    y: { label: 'attainable, TFLOP/s', type: 'log' },
  });
  return drawFigure(text, [[panel]]);
}

/** All devices by bandwidth and peak rate; on a diagonal the op:byte ratio is the same. */
export function plotDevices(devices: readonly DeviceRecord[], text: FigureText): string {
  const height = 560;
  const rows = devices.map((device) => {
    const dtype = defaultDtype(device);
    const label = `${device.name} (${dtype}, op:byte ${digits(opByteRatio(device, dtype))})`;
    return { x: device.bandwidth / 1e9, y: peakOf(device, dtype) / 1e12, label, type: device.type };
  });
  const [x, y] = [
    extentOf(
      rows.map((row) => row.x),
      'log',
    ),
    extentOf(
      rows.map((row) => row.y),
      'log',
    ),
  ];
  const [low, high] = [Math.log(y[0]), Math.log(y[1])];
  const labels = spread(
    rows.map((row) => Math.log(row.y)),
    ((high - low) * 15) / (height - 60),
    [low, high],
  );
  const placed = rows.map((row, i) => ({ ...row, labelY: Math.exp(labels[i] ?? 0) }));
  const ratios = [10, 30, 100, 300, 1000];
  const diagonals = ratios.flatMap((ratio) => {
    const [x1, x2] = [Math.max(x[0], (1e3 * y[0]) / ratio), Math.min(x[1], (1e3 * y[1]) / ratio)];
    return x1 < x2 ? [{ ratio, x1, x2, y1: (ratio * x1) / 1e3, y2: (ratio * x2) / 1e3 }] : [];
  });
  const xAxis = drawAxis('x', { label: 'bandwidth, GB/s', type: 'log', domain: x, labelOffset: 36 });
  const yAxis = drawAxis('y', { label: 'peak rate, TFLOP/s', type: 'log', domain: y, labelOffset: 54 });
  const options: Panel['options'] = {
    marginTop: 10,
    marginBottom: 46,
    marginLeft: 66,
    marginRight: 250,
    x: xAxis.scale,
    y: yAxis.scale,
    color: { domain: ['gpu', 'cpu'], range: [PALETTE[0], PALETTE[1]] },
    symbol: { domain: ['gpu', 'cpu'], range: ['circle', 'square'] },
    marks: [
      ...xAxis.marks,
      ...yAxis.marks,
      Plot.link(diagonals, {
        x1: 'x1',
        x2: 'x2',
        y1: 'y1',
        y2: 'y2',
        stroke: '#BBBBBB',
        strokeDasharray: '2 3',
      }),
      Plot.text(diagonals, {
        ...{ x: 'x1', y: 'y1', textAnchor: 'start', dx: 8, dy: -10, fill: '#6B6B6B', fontSize: 11 },
        text: ({ ratio }: { ratio: number }) => `op:byte ${ratio}`,
      }),
      Plot.link(placed, { x1: 'x', y1: 'y', x2: x[1], y2: 'labelY', stroke: '#BBBBBB', strokeWidth: 0.7 }),
      Plot.dot(placed, { x: 'x', y: 'y', fill: 'type', symbol: 'type', r: 5 }),
      Plot.text(placed, { x: x[1], y: 'labelY', text: 'label', fill: 'type', textAnchor: 'start', dx: 5 }),
    ],
  };
  return drawFigure(text, [[{ width: WIDTH, height, options }]]);
}
