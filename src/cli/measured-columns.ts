import type { Measured } from '../bench/report.ts';
import { formatNumber, right } from './table.ts';
import type { Column } from './table.ts';

/** What the tables of operations and of networks say of each measurement. */
export const MEASURED_COLUMNS: readonly Column[] = [
  { title: 'engine' },
  ...['threads', 'median ms', 'min', 'spread', 'runs', 'GFLOP/s'].map(right),
];

/** The cells of {@link MEASURED_COLUMNS}. */
export function measuredCells(row: Measured): string[] {
  return [
    row.engine,
    String(row.threads),
    formatNumber(row.medianMs),
    formatNumber(row.minMs),
    formatNumber(row.spreadMs),
    String(row.runs),
    formatNumber(row.gflops),
  ];
}
