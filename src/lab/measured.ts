import { invalidArgument } from '../core/errors.ts';
import { findModel, modelNames } from '../models/zoo.ts';
import type { GapInput } from './efficiency.ts';
import { accuracies } from './published.ts';

/** Measured networks as inputs of an efficiency gap, and those whose accuracy is not on record. */
export interface MeasuredGap {
  readonly inputs: readonly GapInput[];
  readonly withoutAccuracy: readonly string[];
}

/**
 * What `widefield bench model --json` measured, as inputs of an efficiency gap; accuracies are the published ones.
 * Throws `invalid-argument` for JSON that is something else.
 *
 * @param engine whose rows to take; default `widefield-native`
 */
export function measuredGap(report: unknown, engine = 'widefield-native'): MeasuredGap {
  const rows = rowsOf(report);
  const own = rows.filter((row) => row.engine === engine);
  if (own.length === 0) {
    const engines = [...new Set(rows.map((row) => row.engine))].join(', ') || 'none';
    throw invalidArgument(`The report has no rows of the engine "${engine}": it has ${engines}.`);
  }
  const results = own.map(({ model, shape, medianMs }) => {
    const [batch = 1, height = 0, width = 0] = shape.split(',').map(Number);
    const resolution = height === width ? height : ([height, width] as const);
    const top1 = accuracyOf(model, height);
    const { title } = findModel(model);
    return top1 === undefined ? model : { title, model, resolution, batch, latencyMs: medianMs, top1 };
  });
  return {
    inputs: results.flatMap((result) => (typeof result === 'string' ? [] : [result])),
    withoutAccuracy: results.filter((result) => typeof result === 'string'),
  };
}

function accuracyOf(model: string, resolution: number): number | undefined {
  return accuracies.find((row) => row.model === model && row.resolution === resolution)?.top1;
}

interface Row {
  readonly engine: string;
  readonly model: string;
  readonly shape: string;
  readonly medianMs: number;
}

function rowsOf(report: unknown): Row[] {
  const rows: unknown =
    typeof report === 'object' && report !== null && 'rows' in report ? report.rows : undefined;
  if (!Array.isArray(rows) || !rows.every(isRow)) {
    throw invalidArgument('The measurements must be what `widefield bench model … --json` prints.');
  }
  return rows;
}

function isRow(row: unknown): row is Row {
  if (typeof row !== 'object' || row === null) return false;
  const { engine, model, shape, medianMs } = row as Partial<Record<keyof Row, unknown>>;
  return (
    typeof engine === 'string' &&
    typeof model === 'string' &&
    modelNames().includes(model) &&
    typeof shape === 'string' &&
    /^\d+,\d+,\d+,3$/.test(shape) &&
    typeof medianMs === 'number' &&
    medianMs > 0
  );
}
