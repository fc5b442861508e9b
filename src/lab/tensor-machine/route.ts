import type { Edge, Item, Layout } from './layout.ts';
import { BOX_HEIGHT, CENTRE_X, itemExtent, laneX } from './style.ts';

/** An edge as an SVG path. */
export interface Route {
  readonly path: string;
  readonly style: Edge['style'];
  readonly label: string | undefined;
  readonly labelX: number;
  readonly labelY: number;
}

/** How far above the middle arrows come in, and below it go out, at an item's right side. */
const PORT = 6;

/**
 * Edges to the next item of the centre column go straight down, edges to an accumulator beside it straight across, and
 * all others through vertical lanes between the columns; all edges from one item share a lane.
 */
export function routeEdges({ items, edges }: Layout): { readonly routes: Route[]; readonly lanes: number } {
  const centre = items.filter(({ column }) => column === 'centre');
  const isNext = ({ from, to }: Edge): boolean =>
    from.column === 'centre' && centre.indexOf(to) === centre.indexOf(from) + 1;
  const isBeside = ({ from, to }: Edge): boolean => to.column === 'side' && from.y === to.y;
  const laneOf = assignLanes(edges.filter((edge) => !isNext(edge) && !isBeside(edge)));
  const lanes = Math.max(0, ...[...laneOf.values()].map((lane) => lane + 1));
  const routes = edges.map((edge): Route => {
    const { from, to, style, label } = edge;
    const labelled = { style, label, labelX: CENTRE_X + 8, labelY: to.y - BOX_HEIGHT / 2 - 7 };
    if (isNext(edge)) {
      return { ...labelled, path: `M${CENTRE_X},${from.y + BOX_HEIGHT / 2} V${to.y - BOX_HEIGHT / 2 - 1}` };
    }
    const start = itemExtent(from, lanes);
    const end = itemExtent(to, lanes);
    if (isBeside(edge)) {
      return { ...labelled, path: `M${start.right},${from.y - PORT} H${end.left - 2}` };
    }
    const x = laneX(laneOf.get(from) ?? 0);
    const exit = from.column === 'side' ? start.left : start.right;
    const entry = to.column === 'side' ? end.left - 2 : end.right + 2;
    return { ...labelled, path: `M${exit},${from.y + PORT} H${x} V${to.y - PORT} H${entry}` };
  });
  return { routes, lanes };
}

/** A lane for each item that edges leave; short ones next to the column, and never two over each other. */
function assignLanes(edges: readonly Edge[]): Map<Item, number> {
  const spans = new Map<Item, { readonly top: number; readonly bottom: number }>();
  for (const { from, to } of edges) {
    const bottom = Math.max(to.y, spans.get(from)?.bottom ?? 0);
    spans.set(from, { top: from.y, bottom });
  }
  const taken: { readonly top: number; readonly bottom: number }[][] = [];
  const lanes = new Map<Item, number>();
  const shortestFirst = [...spans].sort(([, a], [, b]) => a.bottom - a.top - (b.bottom - b.top));
  for (const [item, span] of shortestFirst) {
    const free = taken.findIndex((others) =>
      others.every(({ top, bottom }) => bottom < span.top || top > span.bottom),
    );
    const lane = free === -1 ? taken.length : free;
    (taken[lane] ??= []).push(span);
    lanes.set(item, lane);
  }
  return lanes;
}
