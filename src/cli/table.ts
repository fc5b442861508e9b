import { largest } from '../core/largest.ts';

export interface Column {
  readonly title: string;
  /** Numbers stand right-aligned, text left-aligned (the default). */
  readonly align?: 'left' | 'right';
}

/** A column of numbers. */
export function right(title: string): Column {
  return { title, align: 'right' };
}

/** Lines of a table whose columns are two spaces apart. Cells without text take no room beyond their column's. */
export function formatTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const widths = columns.map((_, i) => largest(rows.map((cells) => cells[i]?.length ?? 0)));
  const { header, line } = tableLines(columns, widths);
  return [header, ...rows.map(line)].join('\n');
}

/** Rows whose first cell is left out where it repeats that of the row before. */
export function withoutRepeats(rows: readonly (readonly string[])[]): readonly (readonly string[])[] {
  return rows.map((cells, i) => (cells[0] === rows[i - 1]?.[0] ? ['', ...cells.slice(1)] : cells));
}

/** A table that is written as its rows come: its header, and what makes a line of a row. */
export interface TableLines {
  readonly header: string;
  readonly line: (cells: readonly string[]) => string;
}

/** @param widths characters that each column needs at least, beside its title */
export function tableLines(columns: readonly Column[], widths: readonly number[]): TableLines {
  const line = (cells: readonly string[]): string =>
    columns
      .map(({ title, align }, i) => {
        const width = Math.max(title.length, widths[i] ?? 0);
        const cell = cells[i] ?? '';
        return align === 'right' ? cell.padStart(width) : cell.padEnd(width);
      })
      .join('  ')
      .trimEnd();
  return { header: line(columns.map(({ title }) => title)), line };
}

/** Three significant digits, never in exponents: `0.0123`, `7.68`, `112`. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value) || value === 0) return String(value);
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toFixed(Math.min(digits, 6));
}
