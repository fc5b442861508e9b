import type { DeviceCaps } from '../../core/caps.ts';
import { epilogueOperations } from '../epilogue.ts';
import { panelCount } from '../gemm/panels.ts';
import type { Panels } from '../gemm/panels.ts';
import { tileCycles } from '../gemm/shapes.ts';
import { activationOperations } from '../math.ts';
import type { BlockConfig, BlockPlan, TwoProducts } from './plan.ts';

/** All panels, and the fewest that make chunks of about so many channels, of equal size where that is possible. */
export function chunkSizes(panels: number, width: number): number[] {
  const sizes = [128, 256, 512].map((channels) => {
    const chunks = Math.max(1, Math.round((panels * width) / channels));
    return Math.ceil(panels / chunks);
  });
  return [...new Set([panels, ...sizes])];
}

/** Cycles before and after a register tile's inner loop. */
const TILE_CYCLES = 60;

/** Registers that a tile must leave free, or its accumulators are moved to and fro. */
const FREE_REGISTERS = 4;

/**
 * What a step of a tile of narrow vectors, of which two are multiplied in a cycle, takes beside its arithmetic. Measured, 8
 * lanes of 16: each row's broadcast takes a slot that products want, and tiles of 14×2 are 9% slower than those of 6×4.
 */
function crowding(rows: number, vectors: number, lanes: number, caps: DeviceCaps): number {
  if (lanes === Math.max(...caps.lanes) || caps.vectorRegisters < 32) return 0;
  const isCrowded = rows * vectors + vectors > caps.vectorRegisters - FREE_REGISTERS;
  return 0.03 * rows + (isCrowded ? rows / 12 : 0);
}

/** Cycles of both products for one tile of so many rows. */
export function tileRowCycles(
  products: TwoProducts,
  plan: BlockPlan,
  { lanes }: BlockConfig,
  caps: DeviceCaps,
  rows: number,
): { readonly up: number; readonly down: number } {
  const tile = (panels: Panels, vectors: number): number =>
    panels.depth * (tileCycles(rows, vectors, lanes, caps) + crowding(rows, vectors, lanes, caps)) +
    TILE_CYCLES;
  const product = (panels: Panels, around: number): number => {
    const { vectors, fullPanels, lastVectors } = panels;
    const narrow = lastVectors > 0 ? tile(panels, lastVectors) : 0;
    return fullPanels * tile(panels, vectors) + narrow + rows * (fullPanels * vectors + lastVectors) * around;
  };
  const setAside = plan.fullChunks > 0 ? 2 * (plan.fullChunks + 1) : 0;
  return {
    up: product(plan.up, 1 + activationOperations(products.activation)),
    down:
      product(plan.down, 2 + epilogueOperations(products.epilogue) + setAside) +
      plan.fullChunks * panelCount(plan.down) * TILE_CYCLES,
  };
}

/**
 * Bytes of weights that each task reads anew, as if from memory: those that do not stay in the second-level cache come
 * from the last-level one, four times as quick as memory.
 */
export function rereadBytes(weightBytes: number, caps: DeviceCaps): number {
  return weightBytes > 0.75 * caps.l2Bytes ? weightBytes / 4 : 0;
}
