import type { DeviceCaps } from '../../core/caps.ts';

export interface TileShape {
  readonly rows: number;
  readonly vectors: number;
}

/** Register tiles that leave room for a row of weights and a broadcast, largest reuse first. */
export function tileShapes(registers: number): readonly TileShape[] {
  return registers >= 32
    ? [
        { rows: 8, vectors: 3 },
        { rows: 7, vectors: 3 },
        { rows: 9, vectors: 3 },
        { rows: 14, vectors: 2 },
        { rows: 12, vectors: 2 },
        { rows: 6, vectors: 4 },
        { rows: 7, vectors: 4 },
        { rows: 24, vectors: 1 },
      ]
    : [
        { rows: 4, vectors: 2 },
        { rows: 6, vectors: 2 },
        { rows: 3, vectors: 3 },
        { rows: 4, vectors: 3 },
        { rows: 2, vectors: 4 },
        { rows: 7, vectors: 1 },
      ];
}

/** Steps of k in one turn of the inner loop; see `accumulate`. */
export function unrollFor(caps: DeviceCaps): number {
  return caps.vectorRegisters >= 32 ? 4 : 1;
}

/** Latency of a fused multiply-add, in cycles: with fewer accumulators the units wait. */
const FMA_LATENCY = 4;
/** With few registers, what a tile costs more when its operands do not all fit. */
const SPILL_PENALTY = 1.5;

/** Expected cycles of one k step of a register tile: arithmetic, loads, or latency, whichever is longest. */
export function tileCycles(rows: number, vectors: number, lanes: number, caps: DeviceCaps): number {
  // Vectors of the full width start one multiply-add a cycle, narrower ones two.
  const width = lanes === Math.max(...caps.lanes) && lanes > 8 ? 1 : 0.5;
  const arithmetic = rows * vectors * width * (caps.fma ? 1 : 2);
  const loads = rows / 2 + vectors * width;
  // Without fused multiply-adds, products need registers too.
  const operands = rows * vectors + rows + vectors + (caps.fma ? 0 : 2);
  const spills = caps.vectorRegisters <= 16 && operands > caps.vectorRegisters ? SPILL_PENALTY : 1;
  return Math.max(arithmetic, loads, FMA_LATENCY) * spills + 0.25;
}
