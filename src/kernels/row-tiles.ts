import type { KernelBuilder } from '../codegen/builder.ts';
import type { Value } from '../codegen/ir.ts';
import { outputMap } from './problem.ts';
import type { Window } from './problem.ts';

/** A tile of neighbouring outputs of a row. */
export interface RowTile {
  /** Its first output: a constant, or running through the tiles that share a loop. */
  readonly first: Value;
  readonly width: number;
  /** Whether an output of the tile meets a pixel with a tap. */
  readonly meets: (output: number, tap: number) => boolean;
}

/**
 * Cuts a row of outputs into tiles of `tile`, the last one smaller. Tiles that follow each other share a loop if their
 * outputs meet pixels with the same taps, as all those do that lie far from the border.
 *
 * @param taps the columns of the kernel that take part
 */
export function forRowTiles(
  b: KernelBuilder,
  window: Window,
  tile: number,
  taps: { readonly first: number; readonly count: number },
  body: (tile: RowTile) => void,
): void {
  const { width, stride, dilation, padding } = window;
  const outWidth = outputMap(window).width;
  const outputsOf = (first: number): number => Math.min(tile, outWidth - first);
  const met = (first: number, tap: number): { readonly from: number; readonly to: number } => {
    const start = first * stride + tap * dilation - padding.left;
    const from = Math.max(0, Math.ceil(-start / stride));
    const to = Math.min(outputsOf(first), Math.floor((width - 1 - start) / stride) + 1);
    return to > from ? { from, to } : { from: 0, to: 0 };
  };
  const isLike = (first: number, other: number): boolean => {
    if (outputsOf(first) !== outputsOf(other)) return false;
    for (let tap = taps.first; tap < taps.first + taps.count; tap++) {
      const [one, two] = [met(first, tap), met(other, tap)];
      if (one.from !== two.from || one.to !== two.to) return false;
    }
    return true;
  };
  for (let first = 0; first < outWidth;) {
    const start = first;
    const meets = (output: number, tap: number): boolean => {
      const { from, to } = met(start, tap);
      return output >= from && output < to;
    };
    do first += tile;
    while (first < outWidth && isLike(start, first));
    // A loop of one turn has a constant for its variable.
    b.for(start, Math.min(first, outWidth), tile, (running) => {
      body({ first: running, width: outputsOf(start), meets });
    });
  }
}
