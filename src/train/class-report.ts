import type { Evaluation } from './evaluate.ts';

/** How one class fares. */
export interface ClassReport {
  /** The network's output. */
  readonly index: number;
  readonly name: string;
  readonly images: number;
  readonly correct: number;
  readonly accuracy: number;
  /** What its images are most often taken for, if for anything else. */
  readonly mistakenFor: { readonly name: string; readonly images: number } | undefined;
}

/** One cell of a confusion matrix that is not zero: so many images of a class were taken for another, or for itself. */
export interface Confusion {
  readonly label: number;
  readonly predicted: number;
  readonly images: number;
}

/** The cells of a confusion matrix that are not zero, row by row. */
export function confusions({ confusion }: Pick<Evaluation, 'confusion'>): Confusion[] {
  const classes = Math.round(Math.sqrt(confusion.length));
  const cells: Confusion[] = [];
  confusion.forEach((images, i) => {
    if (images > 0) cells.push({ label: Math.floor(i / classes), predicted: i % classes, images });
  });
  return cells;
}

/**
 * All classes that have images, in the order of their labels.
 *
 * @param names of all classes
 */
export function classReports(
  evaluation: Pick<Evaluation, 'confusion'>,
  names: readonly string[],
): ClassReport[] {
  const rows = new Map<number, Confusion[]>();
  for (const cell of confusions(evaluation)) {
    const row = rows.get(cell.label);
    if (row === undefined) rows.set(cell.label, [cell]);
    else row.push(cell);
  }
  const nameOf = (index: number): string => names[index] ?? `class ${index}`;
  return [...rows].map(([index, cells]) => {
    const images = cells.reduce((sum, cell) => sum + cell.images, 0);
    const correct = cells.find(({ predicted }) => predicted === index)?.images ?? 0;
    const [worst] = cells
      .filter(({ predicted }) => predicted !== index)
      .sort((a, b) => b.images - a.images || a.predicted - b.predicted);
    const mistakenFor = worst && { name: nameOf(worst.predicted), images: worst.images };
    return { index, name: nameOf(index), images, correct, accuracy: correct / images, mistakenFor };
  });
}

/** The classes of least accuracy, worst first; of equal ones those with more images. */
export function worstClasses(reports: readonly ClassReport[], count: number): ClassReport[] {
  return [...reports]
    .sort((a, b) => a.accuracy - b.accuracy || b.images - a.images || a.index - b.index)
    .slice(0, count);
}
