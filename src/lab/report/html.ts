import { FONT, INK, MUTED } from '../tensor-machine/style.ts';

/** A cell, and how it is to be seen: `good` and `bad` are blue and red, and signed or marked in their text as well. */
export interface HtmlCell {
  readonly text: string;
  readonly tone?: 'good' | 'bad' | 'muted';
}

export interface HtmlTable {
  readonly title?: string;
  readonly columns: readonly { readonly title: string; readonly align?: 'left' | 'right' }[];
  readonly rows: readonly (readonly HtmlCell[])[];
  /** Paragraphs below it. */
  readonly notes?: readonly string[];
}

export interface HtmlSection {
  /** For links; also the anchor. */
  readonly id?: string;
  readonly heading?: string;
  readonly paragraphs?: readonly string[];
  /** An SVG document, put into the page as it is. */
  readonly svg?: string;
  readonly tables?: readonly HtmlTable[];
}

export interface HtmlPage {
  readonly title: string;
  readonly paragraphs?: readonly string[];
  readonly sections: readonly HtmlSection[];
}

/** A self-contained page: no scripts, no fonts, no files beside it. All texts are escaped. */
export function htmlPage({ title, paragraphs = [], sections }: HtmlPage): string {
  const linked = sections.filter(({ id, heading }) => id !== undefined && heading !== undefined);
  const contents =
    linked.length < 2
      ? ''
      : `<nav><ol>${linked.map(({ id = '', heading = '' }) => `<li><a href="#${id}">${escapeHtml(heading)}</a></li>`).join('')}</ol></nav>`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>${escapeHtml(title)}</h1>
${paragraphs.map(paragraph).join('\n')}
${contents}
${sections.map((section, i) => formatSection(section, i)).join('\n')}
</body>
</html>
`;
}

function formatSection(
  { id, heading, paragraphs = [], svg, tables = [] }: HtmlSection,
  index: number,
): string {
  return [
    `<section${id === undefined ? '' : ` id="${escapeHtml(id)}"`}>`,
    ...(heading === undefined ? [] : [`<h2>${escapeHtml(heading)}</h2>`]),
    ...paragraphs.map(paragraph),
    ...(svg === undefined ? [] : [`<figure>${ownIds(svg, index)}</figure>`]),
    ...tables.map(formatTable),
    '</section>',
  ].join('\n');
}

function formatTable({ title, columns, rows, notes = [] }: HtmlTable): string {
  const side = (i: number): string => (columns[i]?.align === 'right' ? ' class="number' : ' class="');
  const header = columns.map((column, i) => `<th${side(i)}">${escapeHtml(column.title)}</th>`).join('');
  const body = rows.map(
    (row) =>
      `<tr>${row.map(({ text, tone = '' }, i) => `<td${side(i)} ${tone}">${escapeHtml(text)}</td>`).join('')}</tr>`,
  );
  return [
    ...(title === undefined ? [] : [`<h3>${escapeHtml(title)}</h3>`]),
    '<div class="table"><table>',
    ...(columns.some((column) => column.title !== '') ? [`<thead><tr>${header}</tr></thead>`] : []),
    `<tbody>\n${body.join('\n')}\n</tbody></table></div>`,
    ...notes.map(paragraph),
  ].join('\n');
}

/** Pictures on one page must not share ids of markers. */
function ownIds(svg: string, index: number): string {
  return svg
    .replaceAll(/\bid="([^"]+)"/g, `id="$1-${index}"`)
    .replaceAll(/url\(#([^)]+)\)/g, `url(#$1-${index})`);
}

function paragraph(text: string): string {
  return `<p>${escapeHtml(text)}</p>`;
}

/** Text as HTML. */
export function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

const STYLE = `
body { font: 15px/1.5 ${FONT}; color: ${INK}; background: white; max-width: 1340px; margin: 2em auto; padding: 0 20px; }
h1 { font-size: 1.7em; } h2 { font-size: 1.3em; margin-top: 2.5em; } h3 { font-size: 1em; }
p { max-width: 60em; } nav ol { columns: 2; max-width: 70em; }
figure { margin: 1em 0; overflow-x: auto; } figure svg { max-width: 100%; height: auto; border: 1px solid #ddd; }
.table { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 3px 12px; text-align: left; white-space: nowrap; border-bottom: 1px solid #e4e4e4; }
td:first-child { white-space: normal; min-width: 14em; }
th { border-bottom: 2px solid #999; } .number { text-align: right; }
.good { background: #DCEBF7; } .bad { background: #FBE0CF; font-weight: 700; } .muted { color: ${MUTED}; }
`;
