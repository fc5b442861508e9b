import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';

import { invalidArgument } from '../../core/errors.ts';
import { INK, FONT, MUTED } from '../tensor-machine/style.ts';

/** Width of figures with one panel in a row. */
export const WIDTH = 960;
const MARGIN = 20;
const TITLE_SIZE = 19;
const TEXT_SIZE = 12;
const LINE = 18;
const HEADING = 26;
const NAMESPACE = 'http://www.w3.org/2000/svg';

/** What stands above and below a figure's panels. */
export interface FigureText {
  readonly title: string;
  /** Lines below the title. */
  readonly subtitle?: readonly string[];
  /** Where the numbers come from, below the panels. */
  readonly source?: string;
}

/** One pair of axes. */
export interface Panel {
  readonly width: number;
  readonly height: number;
  /** Above the axes, bold. */
  readonly heading?: string;
  readonly options: Omit<Plot.PlotOptions, 'document' | 'width' | 'height' | 'style'>;
}

/**
 * A standalone SVG document: title, rows of panels, source, all in the one look of the lab. Panels are drawn by Observable
 * Plot and stand in groups of one document, so that neither viewers nor pages have to lay out nested ones.
 * Throws `invalid-argument` if there are no panels.
 */
export function drawFigure(text: FigureText, rows: readonly (readonly Panel[])[]): string {
  if (rows.length === 0) throw invalidArgument(`There is nothing to draw in "${text.title}".`);
  const { document } = parseHTML('<!doctype html><html><body></body></html>');
  const svg = document.createElementNS(NAMESPACE, 'svg');
  const width = Math.max(...rows.map((row) => row.reduce((sum, panel) => sum + panel.width, 0)));
  const { title, subtitle = [], source } = text;
  let y = MARGIN + TITLE_SIZE;
  const line = (content: string, x: number, at: number, attributes: Attributes = {}): Element =>
    make(document, 'text', { x, y: at, 'font-size': TEXT_SIZE, fill: MUTED, ...attributes }, content);
  const parts = [line(title, MARGIN, y, { 'font-size': TITLE_SIZE, 'font-weight': 600, fill: INK })];
  y += 6;
  for (const each of subtitle) parts.push(line(each, MARGIN, (y += LINE)));
  y += 14;
  for (const row of rows) {
    const heading = row.some((panel) => panel.heading !== undefined) ? HEADING : 0;
    let x = 0;
    for (const panel of row) {
      if (panel.heading !== undefined) {
        const style = { 'font-size': 13.5, 'font-weight': 600, fill: INK };
        parts.push(line(panel.heading, x + MARGIN, y + HEADING - 10, style));
      }
      parts.push(drawPanel(document, panel, x, y + heading));
      x += panel.width;
    }
    y += heading + Math.max(...row.map(({ height }) => height));
  }
  if (source !== undefined) parts.push(line(source, MARGIN, (y += LINE + 2)));
  const height = y + MARGIN;
  setAttributes(svg, {
    xmlns: NAMESPACE,
    width,
    height,
    viewBox: `0 0 ${width} ${height}`,
    'font-family': FONT,
    role: 'img',
  });
  const background = make(document, 'rect', { width, height, fill: 'white' });
  svg.append(make(document, 'title', {}, title), background, ...parts);
  return `${svg.outerHTML}\n`;
}

/** The children of what Plot draws, in a group with the attributes that they inherit. */
function drawPanel(document: Document, { width, height, options }: Panel, x: number, y: number): Element {
  const drawn = Plot.plot({ ...options, document, width, height });
  drawn.querySelectorAll('style').forEach((style) => {
    style.remove();
  });
  const group = make(document, 'g', {
    transform: `translate(${x},${y})`,
    color: INK,
    fill: INK,
    'font-size': TEXT_SIZE,
    'text-anchor': 'middle',
  });
  group.append(...Array.from(drawn.childNodes));
  return group;
}

type Attributes = Readonly<Record<string, string | number>>;

function make(document: Document, name: string, attributes: Attributes, content?: string): Element {
  const element = document.createElementNS(NAMESPACE, name);
  setAttributes(element, attributes);
  if (content !== undefined) element.textContent = content;
  return element;
}

function setAttributes(element: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
}
