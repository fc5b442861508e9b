import type { DeviceCaps } from '../../core/caps.ts';

/** A matrix product as register tiles: costs in cycles of one tile of each kind, and bytes that tasks read. */
export interface TileGrid {
  readonly rowTiles: number;
  readonly panels: number;
  /** Cycles of the tile at a row tile and a panel. */
  readonly cycles: (lastRow: boolean, lastPanel: boolean) => number;
  /** Bytes of one row tile's inputs, of the part that is used at a time, and of one panel. */
  readonly rowBytes: number;
  readonly rowBlockBytes: number;
  readonly panelBytes: number;
}

/** How a grid is cut into tasks. */
export interface Partition {
  readonly rowTiles: number;
  readonly panels: number;
}

/** Cycles to take a task and start its loops. */
const TASK_CYCLES = 250;
/** Bytes a cycle that a task reads while it computes: rows, from the last-level cache, and weights, from memory. */
const ROW_BYTES_PER_CYCLE = 48;
const PANEL_BYTES_PER_CYCLE = 8;
const TASKS_PER_THREAD = 32;
/** The part of a task for which threads wait at the end even where tasks divide evenly: cores are not equally quick. */
export const END_SKEW = 0.15;
/** Tasks times threads beyond which turns are not simulated, which would take longer than it could gain. */
const SIMULATED = 2 ** 14;

/** The cut that the threads should finish first. */
export function partition(grid: TileGrid, caps: DeviceCaps): Partition {
  let best: Partition = { rowTiles: grid.rowTiles, panels: grid.panels };
  let bestCycles = Infinity;
  for (const rowTiles of shares(grid.rowTiles)) {
    if (rowTiles > 1 && rowTiles * grid.rowBlockBytes > caps.l2Bytes / 2) continue;
    for (const panels of shares(grid.panels)) {
      const tasks = Math.ceil(grid.rowTiles / rowTiles) * Math.ceil(grid.panels / panels);
      if (tasks > TASKS_PER_THREAD * caps.threads && bestCycles < Infinity) continue;
      const cycles = makespan(grid, { rowTiles, panels }, caps);
      if (cycles >= bestCycles) continue;
      best = { rowTiles, panels };
      bestCycles = cycles;
    }
  }
  return best;
}

/** Sizes that cut `count` into 1, 2, 3, … about equal parts. */
function shares(count: number): number[] {
  const sizes = new Set<number>();
  for (let parts = 1; parts <= count; parts += Math.max(1, parts >> 3)) sizes.add(Math.ceil(count / parts));
  return [...sizes, 1];
}

/**
 * Cycles until the last thread is done, when threads take tasks in turn: row tasks within panel tasks, as
 * the kernel numbers them.
 */
export function makespan(grid: TileGrid, { rowTiles, panels }: Partition, caps: DeviceCaps): number {
  const rowTasks = Math.ceil(grid.rowTiles / rowTiles);
  const panelTasks = Math.ceil(grid.panels / panels);
  const cost = (lastRow: boolean, lastPanel: boolean): number => {
    const rows = lastRow ? grid.rowTiles - (rowTasks - 1) * rowTiles : rowTiles;
    const columns = lastPanel ? grid.panels - (panelTasks - 1) * panels : panels;
    // The last tile of the last task may be smaller than the others.
    const [oddRows, oddColumns] = [lastRow ? 1 : 0, lastPanel ? 1 : 0];
    const products =
      (rows - oddRows) * (columns - oddColumns) * grid.cycles(false, false) +
      oddRows * (columns - oddColumns) * grid.cycles(true, false) +
      (rows - oddRows) * oddColumns * grid.cycles(false, true) +
      oddRows * oddColumns * grid.cycles(true, true);
    // Rows that do not stay in the second-level cache are read anew for every panel.
    const rowReads = rows * grid.rowBytes > caps.l2Bytes / 2 ? columns : 1;
    const reading =
      (rows * grid.rowBytes * rowReads) / ROW_BYTES_PER_CYCLE +
      (columns * grid.panelBytes) / PANEL_BYTES_PER_CYCLE;
    return products + reading + TASK_CYCLES;
  };
  const costs = [cost(false, false), cost(true, false), cost(false, true), cost(true, true)] as const;
  const skew = caps.threads > 1 ? END_SKEW * Math.max(...costs) : 0;
  if (rowTasks * panelTasks * caps.threads > SIMULATED) {
    const [inner, lastRow, lastPanel, last] = costs;
    const all =
      (rowTasks - 1) * (panelTasks - 1) * inner +
      (panelTasks - 1) * lastRow +
      (rowTasks - 1) * lastPanel +
      last;
    return all / caps.threads + Math.max(...costs) / 2 + skew;
  }
  const busyUntil = new Array<number>(caps.threads).fill(0);
  for (let panelTask = 0; panelTask < panelTasks; panelTask++) {
    for (let rowTask = 0; rowTask < rowTasks; rowTask++) {
      const kind = (rowTask === rowTasks - 1 ? 1 : 0) + (panelTask === panelTasks - 1 ? 2 : 0);
      let first = 0;
      for (let t = 1; t < busyUntil.length; t++) {
        if ((busyUntil[t] ?? 0) < (busyUntil[first] ?? 0)) first = t;
      }
      busyUntil[first] = (busyUntil[first] ?? 0) + (costs[kind] ?? 0);
    }
  }
  return Math.max(...busyUntil) + skew;
}
