import type { DeviceCaps } from '../../core/caps.ts';
import { multiplyAddCycles } from '../rates.ts';

export interface TileShape {
  readonly rows: number;
  readonly vectors: number;
}

/** For 32 registers: room for a row of weights and a broadcast, largest reuse first. */
const LARGE_TILES: readonly TileShape[] = [
  { rows: 8, vectors: 3 },
  { rows: 7, vectors: 3 },
  { rows: 9, vectors: 3 },
  { rows: 14, vectors: 2 },
  { rows: 12, vectors: 2 },
  { rows: 6, vectors: 4 },
  { rows: 7, vectors: 4 },
  { rows: 24, vectors: 1 },
];

/** For 16 registers, where those that fit depend on whether products need registers of their own. */
const SMALL_TILES: readonly TileShape[] = [
  { rows: 6, vectors: 2 },
  { rows: 5, vectors: 2 },
  { rows: 4, vectors: 2 },
  { rows: 3, vectors: 3 },
  { rows: 2, vectors: 4 },
  { rows: 3, vectors: 2 },
  { rows: 7, vectors: 1 },
  { rows: 10, vectors: 1 },
];

/** Of 16 registers, engines and compilers keep one for themselves. */
const SMALL_REGISTERS = 15;

/** Register tiles worth considering; `fma`: whether multiply-add is one instruction. */
export function tileShapes(registers: number, fma = true): readonly TileShape[] {
  if (registers >= 32) return LARGE_TILES;
  return SMALL_TILES.filter(({ rows, vectors }) => operands(rows, vectors, fma) <= SMALL_REGISTERS);
}

/** Registers that a tile needs: accumulators, a row of weights, a broadcast, and a product that is not yet added. */
function operands(rows: number, vectors: number, fma: boolean): number {
  return rows * vectors + vectors + 1 + (fma ? 0 : 1);
}

/** Steps of k in one turn of the inner loop; see `accumulate`. */
export function unrollFor(caps: DeviceCaps): number {
  return caps.vectorRegisters >= 32 ? 4 : 16;
}

/** Instructions that a core takes up in a cycle. */
export const DISPATCH_WIDTH = 6;
/** What a core gets from its second-level cache, where weights lie: few rows wait for it. */
const NEAR_BYTES_PER_CYCLE = 32;
/** Latency of an addition, fused with a product or not, in cycles: with fewer accumulators the units wait. */
const FMA_LATENCY = 4;
const ADD_LATENCY = 3;
/** Cycles of a step beyond the longest of its bounds, measured: products on their own leave the units less to choose from. */
const SLACK = { fused: 0.25, separate: 0.75 };

/** Expected cycles of one k step of a register tile: arithmetic, loads, dispatch or latency, whichever is longest. */
export function tileCycles(rows: number, vectors: number, lanes: number, caps: DeviceCaps): number {
  const width = multiplyAddCycles(lanes, caps);
  const products = rows * vectors;
  const arithmetic = products * width;
  // Without a register for broadcasts each product makes its own; products that start two a cycle then wait for them.
  const isFull = operands(rows, vectors, caps.fma) > caps.vectorRegisters;
  const loads = (isFull ? products : rows) / 2 + vectors * width;
  // Besides products and sums: loads; an address for all rows; what controls the loop and ends basic blocks.
  const blocks =
    caps.vectorRegisters >= 32 ? 0 : rows / (SMALL_REGISTERS + 1 - operands(rows, vectors, caps.fma));
  const instructions = products * (caps.fma ? 1 : 2) + vectors + rows + Math.max(blocks, 0) + 2;
  const latency = caps.fma ? FMA_LATENCY : ADD_LATENCY;
  return (
    Math.max(
      arithmetic,
      loads,
      (4 * lanes * vectors) / NEAR_BYTES_PER_CYCLE,
      instructions / DISPATCH_WIDTH,
      latency,
    ) + (caps.fma ? SLACK.fused : SLACK.separate)
  );
}

/** Registers that the arithmetic of an epilogue wants beside a tile's accumulators. */
const EPILOGUE_REGISTERS = 6;

/**
 * Expected cycles to finish a tile's outputs, with so many operations each, and to store them. Measured: the
 * outputs' chains of operations overlap, unless accumulators leave them too few registers.
 */
export function finishCycles(rows: number, vectors: number, operations: number, caps: DeviceCaps): number {
  const isCrowded = caps.vectorRegisters >= 32 && rows * vectors > caps.vectorRegisters - EPILOGUE_REGISTERS;
  return rows * vectors * (isCrowded ? 5 + operations : 2 + 0.4 * operations);
}

/** Sets and ways of a first-level cache: 64 sets of lines of 64 bytes, 8 ways. */
const SET_SPAN_BYTES = 4096;
const SETS = 64;
const WAYS = 8;
/** Measured: what each row beyond the ways costs, as a part of the tile's time. */
const CONFLICT_COST = 0.06;

/**
 * By how much the rows of a tile that fall into the same sets of the first-level cache slow it down: a row
 * stride that is a multiple of 4096 bytes makes all rows compete for the ways of one set.
 */
export function conflictFactor(rows: number, rowBytes: number): number {
  const stride = rowBytes % SET_SPAN_BYTES;
  // The largest power of two in the stride: rows lie at its multiples.
  const grain = stride === 0 ? SET_SPAN_BYTES : stride & -stride;
  const places = Math.min(SETS, SET_SPAN_BYTES / grain);
  return 1 + CONFLICT_COST * Math.max(0, Math.ceil(rows / places) - WAYS);
}
