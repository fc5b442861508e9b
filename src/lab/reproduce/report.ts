import { digits } from '../plots/style.ts';
import { htmlPage } from '../report/html.ts';
import type { HtmlCell, HtmlSection, HtmlTable } from '../report/html.ts';
import type { Comparison, Exhibit } from './exhibit.ts';

/** How many figures agree. */
export interface Agreement {
  readonly compared: number;
  readonly agreeing: number;
  /** Those that do not, by exhibit. */
  readonly misses: readonly (Comparison & { readonly exhibit: string })[];
}

/** What is left out of the report, and why. */
export const NOT_DERIVED: readonly string[] = [
  'Accuracies, and everything else that needs networks trained on ImageNet: receptive fields of trained networks (SLaK, Table 10), dense prediction, sparse training.',
  'Latencies and throughputs that were measured on GPUs. Where they are shown, they are the published ones, beside bounds that are computed.',
];

export function agreementOf(exhibits: readonly Exhibit[]): Agreement {
  const all = exhibits.flatMap(({ id, comparisons }) =>
    comparisons.map((each) => ({ exhibit: id, ...each })),
  );
  const misses = all.filter(({ agrees }) => !agrees);
  return { compared: all.length, agreeing: all.length - misses.length, misses };
}

/** The report: published and computed figures side by side, misses first, then every exhibit with its picture. */
export function reportPage(exhibits: readonly Exhibit[], version: string): string {
  const { compared, agreeing, misses } = agreementOf(exhibits);
  const missed = misses.map((miss) => ({
    ...miss,
    name: `${exhibits.find(({ id }) => id === miss.exhibit)?.title ?? miss.exhibit}: ${miss.name}`,
  }));
  return htmlPage({
    title: 'Published and computed',
    paragraphs: [
      `Tables and figures of four works on large kernels and on the efficiency of ConvNets, computed again from definitions of networks and devices by Widefield ${version} (widefield lab reproduce).`,
      `${agreeing} of ${compared} published figures agree with the computed ones. A figure agrees if the difference is within the printed precision, or within what its section allows. Differences are relative to the published figure.`,
    ],
    sections: [
      {
        id: 'differences',
        heading: `Figures that differ: ${misses.length}`,
        tables: misses.length === 0 ? [] : [comparisonTable(missed)],
      },
      ...exhibits.map(sectionOf),
      { id: 'not-derived', heading: 'What cannot be derived', paragraphs: NOT_DERIVED },
    ],
  });
}

function sectionOf({ id, title, source, notes, svg, comparisons, tables = [] }: Exhibit): HtmlSection {
  return {
    id,
    heading: title,
    paragraphs: [`Source: ${source}.`, ...notes],
    svg,
    tables: [...(comparisons.length === 0 ? [] : [comparisonTable(comparisons)]), ...tables],
  };
}

function comparisonTable(comparisons: readonly Comparison[]): HtmlTable {
  const right = (title: string) => ({ title, align: 'right' }) as const;
  return {
    columns: [
      { title: 'figure' },
      right('published'),
      right('computed'),
      { title: 'unit' },
      right('difference'),
      { title: '' },
    ],
    rows: comparisons.map((each): HtmlCell[] => [
      { text: each.name },
      { text: String(each.published) },
      { text: digitsLike(each.computed) },
      { text: each.unit, tone: 'muted' },
      { text: formatDifference(each.difference), tone: each.agrees ? 'good' : 'bad' },
      { text: each.agrees ? 'agrees' : 'differs', tone: each.agrees ? 'muted' : 'bad' },
    ]),
  };
}

/** Signed: `+0.42%`, `−3.1%`, `0.00%`. */
export function formatDifference(difference: number): string {
  const percent = (100 * Math.abs(difference)).toFixed(2);
  if (Number(percent) === 0) return '0.00%';
  return `${difference > 0 ? '+' : '−'}${percent}%`;
}

/** One digit more than plots show. */
function digitsLike(value: number): string {
  return Math.abs(value) >= 1000 ? digits(value) : String(Number(value.toPrecision(4)));
}
