import { extname } from 'node:path';

import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';

import { checkWritable } from '../../checkpoints/file-sink.ts';
import { writeWhole } from '../../checkpoints/write-file.ts';
import { WidefieldError } from '../../core/errors.ts';
import { htmlPage } from '../../lab/report/html.ts';
import type { HtmlTable } from '../../lab/report/html.ts';
import type { CommandContext } from '../context.ts';
import { formatTable } from '../table.ts';
import type { Column } from '../table.ts';

/** A table with what stands above and below it. Without any column titles it has no header. */
export interface LabTable {
  readonly title?: string;
  readonly columns: readonly Column[];
  readonly rows: readonly (readonly string[])[];
  readonly notes?: readonly string[];
}

/** What an analysis found: for machines, for people, and as a picture. */
export interface LabResult {
  /** What `--json` prints. */
  readonly json: unknown;
  readonly tables: readonly LabTable[];
  /** A standalone SVG document; only asked for by `--out`. */
  readonly plot: () => Promise<string>;
}

export interface OutputOptions {
  readonly json?: boolean;
  readonly out?: string;
}

const KINDS = ['.svg', '.png', '.html'];
/** Pixels of PNG files for a pixel of the drawing: sharp on screens of high density. */
const PNG_SCALE = 2;
/** Pixels an inch at which one unit of an SVG is one pixel. */
const SVG_DENSITY = 72;

/** `--json` and `--out`, which every command of the lab has. */
export function withOutputOptions(command: Command): Command {
  return command
    .option('--json', 'print JSON')
    .option('--out <file>', 'draw it: .svg, .png, or .html with the tables', parseOut);
}

/** Prints a result as `--json` says, and writes its picture to `--out`. Throws `io`, `unsupported`, `aborted`. */
export async function present(
  { print, warn, signal }: CommandContext,
  { json, out }: OutputOptions,
  result: LabResult,
): Promise<void> {
  print(
    json === true ? JSON.stringify(result.json, undefined, 2) : result.tables.map(formatText).join('\n\n'),
  );
  if (out === undefined) return;
  await writeWhole(out, [await render(result, out)], signal);
  warn(`The picture is in ${out}.`);
}

/** An SVG document as PNG. Throws `unsupported` without the package sharp. */
export async function renderPng(svg: string): Promise<Uint8Array> {
  const { default: sharp } = await import('sharp').catch((cause: unknown) => {
    throw new WidefieldError(
      'unsupported',
      'The package sharp is needed for PNG files: install it, or write an .svg.',
      { cause },
    );
  });
  return sharp(Buffer.from(svg), { density: SVG_DENSITY * PNG_SCALE })
    .png()
    .toBuffer();
}

/** Refuses what cannot be drawn to before the work whose picture it is to be. */
function parseOut(text: string): string {
  if (!KINDS.includes(extname(text).toLowerCase())) {
    throw new InvalidArgumentError('Use a name that ends in .svg, .png or .html.');
  }
  checkWritable(text);
  return text;
}

async function render(result: LabResult, file: string): Promise<Uint8Array | string> {
  const svg = await result.plot();
  switch (extname(file).toLowerCase()) {
    case '.svg':
      return svg;
    case '.png':
      return renderPng(svg);
    default:
      return htmlPage({ title: await titleOf(svg), sections: [{ svg, tables: result.tables.map(toHtml) }] });
  }
}

function formatText({ title, columns, rows, notes }: LabTable): string {
  const table = formatTable(columns, rows);
  const hasHeader = columns.some((column) => column.title !== '');
  return [
    ...(title === undefined ? [] : [title, '']),
    hasHeader ? table : table.slice(table.indexOf('\n') + 1),
    ...(notes === undefined ? [] : ['', ...notes]),
  ].join('\n');
}

function toHtml({ title, columns, rows, notes = [] }: LabTable): HtmlTable {
  const cells = rows.map((row) => row.map((text) => ({ text })));
  return { ...(title !== undefined && { title }), columns, rows: cells, notes };
}

/** The text of the document's own title, which stands before those of its parts. */
async function titleOf(svg: string): Promise<string> {
  const { parseHTML } = await import('linkedom');
  return parseHTML(svg).document.querySelector('title')?.textContent ?? 'Widefield';
}
