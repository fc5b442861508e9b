import type { Chain, Item } from './layout.ts';
import type { Memory } from './machine.ts';

export const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";
export const INK = '#222222';
export const MUTED = '#595959';

export const MARGIN = 20;
export const BOX_HEIGHT = 28;
/** Left side of the outermost loops; weights stand left of it. */
export const LOOPS_X = 232;
/** Middle of the centre column. */
export const CENTRE_X = 450;
const CENTRE_WIDTH = 236;
const SIDE_WIDTH = 190;
const LANE = 16;
const LEAST_CONTENT = 720;
/** Room for the right sides of frames. */
const FRAMES_WIDTH = 60;

/** Tints of the colours of Okabe and Ito (2008), which people with any colour vision can tell apart; boxes name them too. */
export const MEMORY_STYLES: Readonly<
  Record<
    Memory,
    { readonly fill: string; readonly stroke: string; readonly name: string; readonly explanation: string }
  >
> = {
  dram: { fill: '#F5C04D', stroke: '#8A5A00', name: 'DRAM', explanation: 'DRAM' },
  global: {
    fill: '#A9D9F5',
    stroke: '#0072B2',
    name: 'global',
    explanation: 'global: on the chip, shared by processors',
  },
  local: { fill: '#4FBF9B', stroke: '#005C44', name: 'local', explanation: 'local: within a processor' },
};

/** Left side of the side column, behind so many lanes. */
export function sideX(lanes: number): number {
  return laneX(lanes) + 10;
}

/** Where the lane is, the 0th next to the centre column. */
export function laneX(lane: number): number {
  return CENTRE_X + CENTRE_WIDTH / 2 + 18 + lane * LANE;
}

/** Width of the drawing; without a side column it still has room for its title. */
export function widthOf(lanes: number, hasSide: boolean): number {
  const content = hasSide ? sideX(lanes) + SIDE_WIDTH : Math.max(laneX(lanes), LEAST_CONTENT);
  return content + FRAMES_WIDTH + MARGIN;
}

/** Left and right side of an item. */
export function itemExtent(item: Item, lanes: number): { readonly left: number; readonly right: number } {
  if (item.column === 'side') return { left: sideX(lanes), right: sideX(lanes) + SIDE_WIDTH };
  const width =
    item.kind === 'tensor' ? CENTRE_WIDTH : item.parts.reduce((sum, part) => sum + segmentWidth(part), 0);
  return { left: CENTRE_X - width / 2, right: CENTRE_X + width / 2 };
}

/** Width of one operation in a pill; what counts is bold. */
export function segmentWidth({ text, counts }: Chain['parts'][number]): number {
  return Math.round(text.length * (counts ? 8.5 : 7.6) + 24);
}

/** About the width of text at 13 pixels in a wide font; most systems' fonts are narrower. */
export function textWidth(text: string): number {
  return Math.round(text.length * 7.6 + 8);
}

/** Width of a box around a bold label and a shape, with room for signs that are wide, such as ×. */
export function weightWidth(label: string, shape: string): number {
  return textWidth(label) + 8 + Math.round(shape.length * 9.2) + 18;
}
