import * as Plot from '@observablehq/plot';

import { invalidArgument } from '../../core/errors.ts';
import { WIDTH, drawFigure } from './figure.ts';
import type { FigureText } from './figure.ts';
import { labelWidth } from './style.ts';

/** More rows than this cannot be read: the classes with most errors are drawn. */
export const CONFUSION_CLASSES = 50;
/** More columns than this leave no room for counts. */
const COUNTED = 24;
const OTHERS = 'others';
const AXIS = 30;
const NAME = 26;

/** So many images of class `label` were taken for class `predicted`. */
export interface ConfusionCell {
  readonly label: number;
  readonly predicted: number;
  readonly images: number;
}

interface Square {
  readonly row: string;
  readonly column: string;
  readonly images: number;
  readonly share: number;
}

/**
 * A confusion matrix: a row a class, shaded by the share of its images that were taken for each column's class. Of many
 * classes, those with most errors. What falls to classes that are not drawn is in the column `others`.
 *
 * @param names of all classes
 * Throws `invalid-argument` if there are no images.
 */
export function plotConfusion(
  cells: readonly ConfusionCell[],
  names: readonly string[],
  text: FigureText,
): string {
  if (cells.length === 0) throw invalidArgument('There are no images to draw a confusion matrix of.');
  const of = new Set(cells.map(({ label }) => label)).size;
  const shown = classesShown(cells);
  const called = new Map(shown.map((index, i) => [index, uniqueName(shown, names, i)]));
  const rows = shown.map((index) => called.get(index) ?? '');
  const squares = squaresOf(cells, called);
  const columns = squares.some(({ column }) => column === OTHERS) ? [...rows, OTHERS] : rows;
  const marginLeft = AXIS + labelWidth(rows);
  const marginTop = AXIS + 10 + Math.ceil(0.62 * labelWidth(columns));
  const side = Math.max(14, Math.min(48, Math.floor((WIDTH - marginLeft - 90) / columns.length)));
  const width = marginLeft + side * columns.length + 90;
  const subtitle = [
    ...(text.subtitle ?? []),
    'Rows: what images show. Columns: what they are taken for. Shades: share of the row.',
    ...(of > shown.length ? [`Of ${of} classes, the ${shown.length} with most errors.`] : []),
  ];
  const panel = {
    width: Math.max(width, 560),
    height: marginTop + side * rows.length + 16,
    options: {
      marginLeft,
      marginTop,
      marginRight: Math.max(width, 560) - marginLeft - side * columns.length,
      marginBottom: 16,
      x: { domain: columns, axis: null, padding: 0.04 },
      y: { domain: rows, axis: null, padding: 0.04 },
      color: { type: 'linear' as const, domain: [0, 1], scheme: 'blues' as const },
      marks: [
        Plot.axisY({ label: null, tickSize: 0 }),
        Plot.axisX({ anchor: 'top', label: null, tickSize: 0, tickRotate: -50, textAnchor: 'start' }),
        Plot.cell(
          rows.flatMap((row) => columns.map((column) => ({ row, column }))),
          { x: 'column', y: 'row', fill: '#F5F5F5' },
        ),
        Plot.cell(squares, { x: 'column', y: 'row', fill: 'share', title: describe }),
        ...(columns.length > COUNTED ? [] : countMarks(squares)),
      ],
    },
  };
  return drawFigure({ ...text, subtitle }, [[panel]]);
}

function countMarks(squares: readonly Square[]): Plot.Markish[] {
  return [true, false].map((dark) =>
    Plot.text(
      squares.filter(({ share }) => share > 0.55 === dark),
      { x: 'column', y: 'row', text: ({ images }: Square) => String(images), fill: dark ? 'white' : 'black' },
    ),
  );
}

function describe({ row, column, images, share }: Square): string {
  return `${row} taken for ${column}: ${images}, ${(100 * share).toFixed(1)}%`;
}

/** Labels that have images; of too many, those with most errors; in order. */
function classesShown(cells: readonly ConfusionCell[]): readonly number[] {
  const errors = new Map<number, number>();
  for (const { label, predicted, images } of cells) {
    errors.set(label, (errors.get(label) ?? 0) + (label === predicted ? 0 : images));
  }
  return [...errors]
    .sort((a, b) => b[1] - a[1])
    .slice(0, CONFUSION_CLASSES)
    .map(([label]) => label)
    .sort((a, b) => a - b);
}

/** Names may be long, and need not be unique; rows must be told apart. */
function uniqueName(shown: readonly number[], names: readonly string[], i: number): string {
  const shorten = (index: number): string => {
    const name = names[index] ?? `class ${index}`;
    return name.length > NAME ? `${name.slice(0, NAME - 1)}…` : name;
  };
  const index = shown[i] ?? 0;
  const isUnique = shown.every((other) => other === index || shorten(other) !== shorten(index));
  return isUnique && shorten(index) !== OTHERS ? shorten(index) : `${shorten(index)} (${index})`;
}

function squaresOf(cells: readonly ConfusionCell[], called: ReadonlyMap<number, string>): readonly Square[] {
  const totals = new Map<string, number>();
  const counts = new Map<string, Map<string, number>>();
  for (const { label, predicted, images } of cells) {
    const row = called.get(label);
    if (row === undefined) continue;
    const column = called.get(predicted) ?? OTHERS;
    const own = counts.get(row) ?? new Map<string, number>();
    own.set(column, (own.get(column) ?? 0) + images);
    counts.set(row, own);
    totals.set(row, (totals.get(row) ?? 0) + images);
  }
  return [...counts].flatMap(([row, own]) =>
    [...own].map(([column, images]) => ({ row, column, images, share: images / (totals.get(row) ?? 1) })),
  );
}
