/** A buffer that must exist in steps `first` to `last`, both included. */
export interface Buffer {
  /** Floats. */
  readonly size: number;
  readonly first: number;
  readonly last: number;
}

export interface MemoryPlan {
  /** Where each buffer begins, in floats, in the order of the buffers; multiples of {@link BUFFER_ALIGNMENT}. */
  readonly offsets: readonly number[];
  /** Floats that the arena needs. */
  readonly total: number;
}

/** Floats: one cache line, and the widest vector. */
export const BUFFER_ALIGNMENT = 16;

/**
 * Places buffers in one arena, so that those which exist at the same time do not overlap.
 *
 * Greedy by size (Pisarchyk & Lee 2020): the largest first, each into the smallest gap, between those placed that exist
 * at the same time, which holds it, or else behind them. The optimum is NP-hard; for chains of layers with residuals
 * this meets or nearly meets the lower bound, the most that exists at one time.
 */
export function planMemory(buffers: readonly Buffer[]): MemoryPlan {
  const offsets = buffers.map(() => 0);
  const placed: (Buffer & { readonly offset: number; readonly end: number })[] = [];
  const bySize = buffers.map((buffer, index) => ({ buffer, index }));
  bySize.sort((a, b) => b.buffer.size - a.buffer.size || a.index - b.index);
  for (const { buffer, index } of bySize) {
    const size = align(buffer.size);
    const neighbours = placed.filter(({ first, last }) => first <= buffer.last && buffer.first <= last);
    neighbours.sort((a, b) => a.offset - b.offset);
    let end = 0;
    let best = { offset: 0, gap: Infinity };
    for (const neighbour of neighbours) {
      const gap = neighbour.offset - end;
      if (gap >= size && gap < best.gap) best = { offset: end, gap };
      end = Math.max(end, neighbour.end);
    }
    const offset = best.gap < Infinity ? best.offset : end;
    offsets[index] = offset;
    placed.push({ ...buffer, offset, end: offset + size });
  }
  return { offsets, total: Math.max(0, ...placed.map(({ end }) => end)) };
}

function align(size: number): number {
  return Math.ceil(size / BUFFER_ALIGNMENT) * BUFFER_ALIGNMENT;
}
