import type { HtmlTable } from '../report/html.ts';

/** A figure that a paper prints beside the one computed here. */
export interface Comparison {
  /** What it is of, such as `RepLKNet-31B at 224: GMAC`. */
  readonly name: string;
  readonly unit: string;
  readonly published: number;
  readonly computed: number;
  /** computed / published − 1. */
  readonly difference: number;
  /** How far apart the two may be, in the figure's unit, to agree. */
  readonly allowed: number;
  readonly agrees: boolean;
}

/** What counts as agreement; the printed precision always does. */
export interface Allowance {
  /** Digits after the point that the paper prints; trailing zeros are not in the number. */
  readonly decimals: number;
  /** Share of the published figure. */
  readonly relative?: number;
  /** In the figure's own unit. */
  readonly absolute?: number;
}

/** One figure or table of a paper, computed again. */
export interface Exhibit {
  /** Name of its files. */
  readonly id: string;
  readonly title: string;
  readonly source: string;
  /** What cannot be derived, what differs and why. */
  readonly notes: readonly string[];
  /** A standalone SVG document. */
  readonly svg: string;
  readonly comparisons: readonly Comparison[];
  /** What stands beside the comparisons: figures that no paper prints, or that only a measurement gives. */
  readonly tables?: readonly HtmlTable[];
  /** The computed records themselves. */
  readonly data: unknown;
}

/** Two figures side by side. */
export function compare(
  name: string,
  unit: string,
  published: number,
  computed: number,
  { decimals, relative = 0, absolute = 0 }: Allowance,
): Comparison {
  // Printed figures are rounded: half a unit of their last digit, and a hair for binary fractions.
  const rounding = 0.5 * 10 ** -decimals * (1 + 1e-9);
  const allowed = Math.max(rounding, relative * Math.abs(published), absolute);
  const agrees = Math.abs(computed - published) <= allowed;
  return { name, unit, published, computed, difference: computed / published - 1, allowed, agrees };
}

/** A plain table from texts. */
export function table(
  title: string,
  columns: readonly string[],
  rows: readonly (readonly string[])[],
): HtmlTable {
  return {
    title,
    columns: columns.map((column, i) => ({ title: column, align: i === 0 ? 'left' : 'right' })),
    rows: rows.map((row) => row.map((text) => ({ text }))),
  };
}
