import type { KernelBuilder, Operand } from '../../codegen/builder.ts';
import type { Buffer, Value } from '../../codegen/ir.ts';
import { applyEpilogue, loadEpilogue } from '../epilogue.ts';
import { panelStride } from '../gemm/panels.ts';
import type { Panels } from '../gemm/panels.ts';
import { accumulate, newTile } from '../gemm/tile.ts';
import type { LeftOperand } from '../gemm/tile.ts';
import { activate } from '../math.ts';
import type { BlockConfig, BlockPlan, TwoProducts } from './plan.ts';

/** A block of neighbouring rows, in tiles of tileRows rows. */
export interface Block {
  readonly packed: Buffer;
  /** Where the weights begin in `packed`; default 0. */
  readonly weights?: Operand;
  /** The most tiles of a block. */
  readonly tiles: number;
  /** Calls `body` for each tile of the block: its number in the block, and its rows. */
  readonly forEachTile: (body: (tile: Value, rows: number) => void) => void;
  /** The first product's left-hand side. */
  readonly left: (tile: Value) => LeftOperand;
  /** Row r of a tile in `residual` and `y`: at `outputAt(tile) + r · outputPitch`. */
  readonly outputAt: (tile: Value) => Value;
  readonly residual: Buffer | undefined;
  readonly y: Buffer;
}

/**
 * Emits y = epilogue(φ(left · up + a) · down) for a block of rows:
 *
 *     for each chunk r of hidden channels:
 *       H = φ(left · up_r + a_r)     into scratch memory
 *       sums += H · down_r           in registers; set aside between chunks
 *
 * Within a chunk, panels of weights are the outer loop, tiles of rows the inner one.
 */
export function emitBlock(
  b: KernelBuilder,
  products: TwoProducts,
  config: BlockConfig,
  plan: BlockPlan,
  block: Block,
): void {
  const { lanes, tileRows, tileVectors, chunkPanels } = config;
  const { epilogue, outputPitch } = products;
  const { up, down, hiddenStride } = plan;
  const { packed, forEachTile, weights: base = 0 } = block;
  const width = tileVectors * lanes;
  const hidden = b.scratch('hidden', block.tiles * tileRows * hiddenStride);
  const sums = plan.fullChunks > 0 ? b.scratch('sums', block.tiles * tileRows * outputPitch) : undefined;

  /** Hidden channels of one panel, into columns of the chunk's. */
  const emitUp = (panel: Value, column: Value | number, vectors: number): void => {
    const weights = { buffer: packed, base: b.add(b.mul(panel, panelStride(up)), base) };
    const channel = b.add(b.mul(panel, width), base);
    forEachTile((tile, rows) => {
      const accumulators = newTile(b, rows, vectors, (_, v) =>
        plan.biasOffset === undefined ? b.vec(0) : b.loadVec(packed, channel, plan.biasOffset + v * lanes),
      );
      accumulate(b, accumulators, block.left(tile), weights, up.depth, config.unroll);
      const to = b.add(b.mul(tile, tileRows * hiddenStride), column);
      accumulators.forEach((row, r) => {
        row.forEach((accumulator, v) => {
          const value = activate(b, products.activation, accumulator.get());
          b.store(hidden, to, value, r * hiddenStride + v * lanes);
        });
      });
    });
  };

  /** What hidden channels k0 … k0 + depth − 1 add to the outputs of one panel. */
  const emitDown = (panel: Value, vectors: number, k0: Value, depth: number, isLast: boolean): void => {
    const from = b.add(b.mul(panel, panelStride(down)), b.mul(k0, vectors * lanes));
    const weights = { buffer: packed, base: b.add(b.add(from, base), plan.downOffset) };
    const channel = b.mul(panel, width);
    forEachTile((tile, rows) => {
      const sumsAt = b.add(b.mul(tile, tileRows * outputPitch), channel);
      const accumulators = newTile(b, rows, vectors, (r, v) =>
        sums ? b.loadVec(sums, sumsAt, r * outputPitch + v * lanes) : b.vec(0),
      );
      const left = {
        buffer: hidden,
        base: b.mul(tile, tileRows * hiddenStride),
        rowOffset: (r: number) => r * hiddenStride,
      };
      accumulate(b, accumulators, left, weights, depth, config.unroll);
      const outputAt = b.add(block.outputAt(tile), channel);
      accumulators.forEach((row, r) => {
        row.forEach((accumulator, v) => {
          const offset = r * outputPitch + v * lanes;
          if (sums && !isLast) {
            b.store(sums, sumsAt, accumulator.get(), offset);
            return;
          }
          const vectorsOf = loadEpilogue(b, plan.epilogue, packed, b.add(b.add(channel, base), v * lanes));
          const added = block.residual && b.loadVec(block.residual, outputAt, offset);
          b.store(block.y, outputAt, applyEpilogue(b, epilogue, vectorsOf, accumulator.get(), added), offset);
        });
      });
    });
  };

  const emitChunk = (chunk: Value, panels: number, isLast: boolean): void => {
    const first = b.mul(chunk, chunkPanels);
    const narrow = isLast ? up.lastVectors : 0;
    const fullPanels = narrow > 0 ? panels - 1 : panels;
    b.for(0, fullPanels, 1, (panel) => emitUp(b.add(first, panel), b.mul(panel, width), tileVectors));
    if (narrow > 0) emitUp(b.add(first, fullPanels), fullPanels * width, narrow);
    const depth = fullPanels * width + narrow * lanes;
    const k0 = b.mul(chunk, chunkPanels * width);
    forEachPanel(b, down, (panel, vectors) => emitDown(panel, vectors, k0, depth, isLast));
  };

  if (sums) {
    const zero = b.vec(0);
    b.for(0, block.tiles * tileRows * outputPitch, lanes, (i) => b.store(sums, i, zero));
  }
  b.for(0, plan.fullChunks, 1, (chunk) => emitChunk(chunk, chunkPanels, false));
  emitChunk(b.i32(plan.fullChunks), plan.lastChunkPanels, true);
}

function forEachPanel(b: KernelBuilder, panels: Panels, body: (panel: Value, vectors: number) => void): void {
  b.for(0, panels.fullPanels, 1, (panel) => body(panel, panels.vectors));
  if (panels.lastVectors > 0) body(b.i32(panels.fullPanels), panels.lastVectors);
}
