import { invalidArgument } from '../core/errors.ts';
import { findModel } from '../models/zoo.ts';
import type { GapInput } from './efficiency.ts';
import { accuracies } from './published.ts';

/** Measured networks as inputs of an efficiency gap, and those that are left out. */
export interface MeasuredGap {
  readonly inputs: readonly GapInput[];
  /** Whose accuracy is not on record, such as one's own. */
  readonly withoutAccuracy: readonly string[];
  /** Whose times mean nothing, because results were wrong. */
  readonly wrong: readonly string[];
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
  const results = own
    .filter(({ correct }) => correct !== false)
    .map(({ model, shape, medianMs: latencyMs }): GapInput | string => {
      const [batch = 1, resolution, width] = shape.split(',').map(Number);
      const known = accuracies.find((row) => row.model === model && row.resolution === resolution);
      if (known === undefined || width !== resolution) return model;
      const { title } = findModel(model);
      return { title, model, resolution: known.resolution, batch, latencyMs, top1: known.top1 };
    });
  return {
    inputs: results.flatMap((result) => (typeof result === 'string' ? [] : [result])),
    withoutAccuracy: results.filter((result) => typeof result === 'string'),
    wrong: own.filter(({ correct }) => correct === false).map(({ model }) => model),
  };
}

interface Row {
  readonly engine: string;
  readonly model: string;
  readonly shape: string;
  readonly medianMs: number;
  readonly correct?: unknown;
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
    typeof shape === 'string' &&
    /^\d+,\d+,\d+,\d+$/.test(shape) &&
    typeof medianMs === 'number' &&
    medianMs > 0
  );
}
