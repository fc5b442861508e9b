import { countMachine } from './count.ts';
import { quantity } from './labels.ts';
import { layOut } from './layout.ts';
import type { BarrierLine, Chain, Frame, Layout, TensorBox } from './layout.ts';
import { routeEdges } from './route.ts';
import type { Route } from './route.ts';
import {
  BOX_HEIGHT,
  FONT,
  INK,
  LOOPS_X,
  MARGIN,
  MEMORY_STYLES,
  MUTED,
  itemExtent,
  segmentWidth,
  textWidth,
  weightWidth,
  widthOf,
} from './style.ts';
import { MEMORIES } from './machine.ts';
import type { Machine, Memory } from './machine.ts';

const TITLE_HEIGHT = 34;
const LINE_HEIGHT = 18;
const LEGEND_HEIGHT = 76;
/** Width of the mark that says where weights come from. */
const TAB = 7;
const LINE_CHARACTERS = 92;

/**
 * A drawing of the machine, as an SVG document: tensors are boxes in the colour of the memory in which they live,
 * operations pills, dark where they count, and loops frames around what they repeat. Time goes downwards.
 */
export function drawMachine(machine: Machine): string {
  const facts = factsOf(machine).flatMap((items) => wrap(items, LINE_CHARACTERS));
  const layout = layOut(machine, MARGIN + TITLE_HEIGHT + facts.length * LINE_HEIGHT + 8);
  const { routes, lanes } = routeEdges(layout);
  const width = widthOf(
    lanes,
    layout.items.some(({ column }) => column === 'side'),
  );
  const legendTop = layout.bottom + 14;
  const height = legendTop + LEGEND_HEIGHT + MARGIN;
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="${FONT}" font-size="13" role="img">`,
    `<title>${escape(machine.title)}</title>`,
    MARKERS,
    rect(0, 0, width, height, 'fill="white"'),
    text(MARGIN, MARGIN + 18, machine.title, 'font-size="19" font-weight="600"'),
    ...facts.map((line, i) =>
      text(MARGIN, MARGIN + TITLE_HEIGHT + 8 + i * LINE_HEIGHT, line, `fill="${MUTED}"`),
    ),
    ...[...layout.frames].sort((a, b) => a.depth - b.depth).map((frame) => drawFrame(frame, width)),
    ...layout.barriers.map((barrier) => drawBarrier(barrier, width)),
    ...routes.map(drawRoute),
    ...layout.items.map((item) => (item.kind === 'tensor' ? drawTensor(item, lanes) : drawChain(item))),
    ...layout.frames.map((frame) => drawFrameText(frame, width)),
    drawLegend(legendTop, layout),
    '</svg>',
  ];
  return `${parts.join('\n')}\n`;
}

/** Sizes of all axes, and what the whole takes. */
function factsOf(machine: Machine): (readonly string[])[] {
  const used = new Set(Object.values(machine.tensors).flatMap(({ axes }) => axes));
  const axes = Object.entries(machine.axes).filter(([name]) => used.has(name));
  const sizes = axes.map(([name, { size, meaning }]) => `${name} = ${size} ${meaning}`);
  const { operations, reads, writes, withHalo } = countMachine(machine, 1);
  const again = withHalo.reads - reads;
  return [
    sizes.map((fact, i) => (i < sizes.length - 1 ? `${fact},` : fact)),
    [
      `In all ${quantity(operations)} operations;`,
      `DRAM elements: ${quantity(reads)} read,`,
      `${quantity(writes)} written`,
      ...(again === 0 ? [] : [`(and ${quantity(again)} read again where tiles overlap)`]),
    ],
  ];
}

function drawFrame({ depth, parallel, top, bottom }: Frame, width: number): string {
  const { x, right } = frameSides(depth, width);
  if (depth === 0) return rect(x, top, right - x, bottom - top, `rx="8" fill="#F6F6F6" stroke="#8C8C8C"`);
  const back = parallel
    ? [8, 4].map((d) => rect(x + d, top - d / 2, right - x, bottom - top, LOOP)).join('')
    : '';
  return back + rect(x, top, right - x, bottom - top, LOOP);
}

const LOOP = `rx="8" fill="white" stroke="${MUTED}"`;

function frameSides(depth: number, width: number): { readonly x: number; readonly right: number } {
  if (depth === 0) return { x: MARGIN, right: width - MARGIN };
  return { x: LOOPS_X + (depth - 1) * 12, right: width - MARGIN - 8 - depth * 14 };
}

/** Texts come last, so that no arrow crosses them. */
function drawFrameText({ depth, title, notes, top }: Frame, width: number): string {
  const { x } = frameSides(depth, width);
  const style = depth === 0 ? 'font-weight="600"' : 'font-style="italic"';
  const lines = notes.map((note, i) =>
    text(x + 10, top + 35 + i * 16, note, `fill="${MUTED}" font-size="12"`),
  );
  return [text(x + 10, top + 18, title, style), ...lines].join('');
}

function drawBarrier({ y, depth }: BarrierLine, width: number): string {
  const { x, right } = frameSides(depth, width);
  const line = `<line x1="${x}" y1="${y}" x2="${right}" y2="${y}" stroke="${INK}" stroke-width="2" stroke-dasharray="1 5" stroke-linecap="round"/>`;
  return line + text(x + 10, y - 5, 'barrier: all processors wait', 'font-style="italic"');
}

function drawTensor(box: TensorBox, lanes: number): string {
  const { y, label, shape, memory } = box;
  const { left, right } = itemExtent(box, lanes);
  return (
    drawBox(left, y, right - left, memory) +
    tensorText(left + 9, y, label, shape) +
    text(right - 8, y + 4, MEMORY_STYLES[memory].name, `text-anchor="end" font-size="10.5"`)
  );
}

function drawBox(x: number, y: number, width: number, memory: Memory): string {
  const { fill, stroke } = MEMORY_STYLES[memory];
  const style = `rx="3" fill="${fill}" stroke="${stroke}" stroke-width="1.5"`;
  return rect(x, y - BOX_HEIGHT / 2, width, BOX_HEIGHT, style);
}

function tensorText(x: number, y: number, label: string, shape: string): string {
  const name = `<tspan font-weight="700">${escape(label)}</tspan>`;
  return `<text x="${x}" y="${y + 4.5}">${name}<tspan dx="8">${escape(shape)}</tspan></text>`;
}

function drawChain(chain: Chain): string {
  const { left, right } = itemExtent(chain, 0);
  const top = chain.y - BOX_HEIGHT / 2;
  const pill = (x: number, end: number, fill: string): string =>
    rect(
      x,
      top,
      end - x,
      BOX_HEIGHT,
      `rx="${BOX_HEIGHT / 2}" fill="${fill}" stroke="${INK}" stroke-width="1.5"`,
    );
  let x = left;
  const parts = chain.parts.map(({ text: label, counts }, i) => {
    const start = x;
    x += segmentWidth({ text: label, counts });
    const isLast = i === chain.parts.length - 1;
    // The first part is round on the left, and on the right as well if it is the only one.
    const square = isLast ? '' : rect(x - BOX_HEIGHT / 2, top, BOX_HEIGHT / 2, BOX_HEIGHT, `fill="${INK}"`);
    const fill = counts ? pill(start, x, INK) + square : '';
    const line = i === 0 ? '' : `<path d="M${start},${top} v${BOX_HEIGHT}" stroke="${INK}"/>`;
    const style = counts ? 'fill="white" font-weight="600"' : '';
    return fill + line + text((start + x) / 2, chain.y + 4.5, label, `text-anchor="middle" ${style}`);
  });
  return drawWeights(chain, left) + pill(left, right, 'white') + parts.join('');
}

/** Weights beside each other, and an arrow from them. */
function drawWeights({ weights, y }: Chain, target: number): string {
  const top = y - BOX_HEIGHT / 2;
  let x = MARGIN + 12;
  const boxes = weights.map(({ label, shape, memory, from }) => {
    const tab = from === undefined ? 0 : TAB;
    const width = weightWidth(label, shape) + tab;
    const mark =
      from === undefined ? '' : rect(x, top, tab, BOX_HEIGHT, `rx="2" fill="${MEMORY_STYLES[from].stroke}"`);
    const box = drawBox(x, y, width, memory) + mark + tensorText(x + 9 + tab, y, label, shape);
    x += width + 5;
    return box;
  });
  if (weights.length === 0) return '';
  return boxes.join('') + arrow(`M${x - 5},${y} H${target - 2}`);
}

function drawRoute({ path, style, label, labelX, labelY }: Route): string {
  const dashes = style === 'accumulator' ? DASHES : '';
  return (
    arrow(path, dashes) +
    (label === undefined ? '' : text(labelX, labelY, label, `fill="${MUTED}" font-size="12"`))
  );
}

function arrow(path: string, more = ''): string {
  return `<path d="${path}" fill="none" stroke="${INK}" stroke-width="1.4" marker-end="url(#arrow)" ${more}/>`;
}

const DASHES = 'stroke-dasharray="5 4"';

const MARKERS =
  `<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">` +
  `<path d="M0,0.6 L8,4 L0,7.4 z" fill="${INK}"/></marker></defs>`;

/** What colours, pills and lines mean; dashes only if there are any. */
function drawLegend(top: number, { edges }: Layout): string {
  const sample = (x: number, y: number, radius: number, fill: string, stroke: string): string =>
    rect(x, y - 8, 22, 16, `rx="${radius}" fill="${fill}" stroke="${stroke}" stroke-width="1.5"`);
  type Entry = readonly [explanation: string, draw: (x: number, y: number) => string];
  const memories = MEMORIES.map((memory): Entry => {
    const { fill, stroke, explanation } = MEMORY_STYLES[memory];
    return [explanation, (x, y) => sample(x, y, 2, fill, stroke)];
  });
  const dashes: Entry = ['accumulator that is added to', (x, y) => arrow(`M${x - 2},${y} h26`, DASHES)];
  const pills: Entry[] = [
    ['counts as operations', (x, y) => sample(x, y, 8, INK, INK)],
    ['other operation', (x, y) => sample(x, y, 8, 'white', INK)],
    ...(edges.some(({ style }) => style === 'accumulator') ? [dashes] : []),
  ];
  const { fill, stroke } = MEMORY_STYLES.global;
  const notation: Entry[] = [
    [
      'weights, read from DRAM once, at the start',
      (x, y) =>
        sample(x, y, 2, fill, stroke) + rect(x, y - 8, 6, 16, `rx="2" fill="${MEMORY_STYLES.dram.stroke}"`),
    ],
    ['small letters: tiles of axes', (x, y) => text(x + 11, y + 4.5, 'n', 'text-anchor="middle"')],
  ];
  return [memories, pills, notation]
    .map((entries, line) => {
      const y = top + 14 + line * 26;
      let x = MARGIN;
      return entries
        .map(([explanation, draw]) => {
          const entry = draw(x, y) + text(x + 30, y + 4.5, explanation);
          x += 30 + textWidth(explanation) + 18;
          return entry;
        })
        .join('');
    })
    .join('\n');
}

function rect(x: number, y: number, width: number, height: number, more: string): string {
  return `<rect x="${x}" y="${y}" width="${width}" height="${height}" ${more}/>`;
}

function text(x: number, y: number, content: string, more = ''): string {
  return `<text x="${x}" y="${y}" ${more}>${escape(content)}</text>`;
}

function escape(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** Words of sentences in lines; items are not broken. */
function wrap(items: readonly string[], characters: number): string[] {
  return items.reduce<string[]>((lines, item) => {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + item.length > characters) return [...lines, item];
    return [...lines.slice(0, -1), `${last} ${item}`];
  }, []);
}
