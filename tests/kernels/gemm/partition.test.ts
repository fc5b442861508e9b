import { describe, expect, test } from 'vitest';
import type { DeviceCaps } from '../../../src/core/caps.ts';
import { makespan, partition } from '../../../src/kernels/gemm/partition.ts';
import type { TileGrid } from '../../../src/kernels/gemm/partition.ts';

const caps = (threads: number): DeviceCaps => ({
  name: 'test',
  lanes: [16],
  fullRateLanes: 8,
  vectorRegisters: 32,
  fma: true,
  bf16: false,
  threads,
  l1Bytes: 32 << 10,
  l2Bytes: 1 << 20,
  maxBytes: 1 << 30,
  fingerprint: 'test',
});

/** Tiles of 10,000 cycles; the last row and the last panel take a part of that. */
function grid(rowTiles: number, panels: number, lastRow = 1, lastPanel = 1): TileGrid {
  return {
    rowTiles,
    panels,
    cycles: (isLastRow, isLastPanel) => 10_000 * (isLastRow ? lastRow : 1) * (isLastPanel ? lastPanel : 1),
    rowBytes: 8 << 10,
    rowBlockBytes: 8 << 10,
    panelBytes: 8 << 10,
  };
}

/** Cycles of all tiles of a grid, shared evenly by the threads. */
function evenShare(tiles: TileGrid, threads: number): number {
  const [rows, panels] = [tiles.rowTiles - 1, tiles.panels - 1];
  const sum =
    rows * panels * tiles.cycles(false, false) +
    rows * tiles.cycles(false, true) +
    panels * tiles.cycles(true, false) +
    tiles.cycles(true, true);
  return sum / threads;
}

describe('cutting products into tasks', () => {
  test('one thread takes everything at once where rows fit the cache', () => {
    expect(partition(grid(5, 7), caps(1))).toEqual({ rowTiles: 5, panels: 7 });
  });

  test.each([
    [1, 2, 2],
    [4, 64, 2],
    [7, 13, 2],
    [13, 3, 2],
    [400, 4, 2],
    [7, 64, 8],
    [61, 5, 8],
  ])('%i × %i tiles keep %i threads busy', (rows, panels, threads) => {
    const tiles = grid(rows, panels, 0.3, 0.5);
    const cut = partition(tiles, caps(threads));
    const cycles = makespan(tiles, cut, caps(threads));
    // The largest tile cannot be split, and tasks cost something themselves.
    expect(cycles).toBeLessThan(1.15 * evenShare(tiles, threads) + 15_000);
    expect(cycles).toBeGreaterThanOrEqual(evenShare(tiles, threads));
  });

  test('tasks leave rows in the second-level cache', () => {
    const cut = partition(grid(200, 8), caps(1));
    expect(cut.rowTiles * (8 << 10)).toBeLessThanOrEqual((1 << 20) / 2);
  });
});
