import type { KernelBuilder } from '../../codegen/builder.ts';
import type { Buffer, Value } from '../../codegen/ir.ts';
import { applyEpilogue, loadEpilogue } from '../epilogue.ts';
import { panelStride } from '../gemm/panels.ts';
import { accumulate, newTile } from '../gemm/tile.ts';
import type { MBConvProblem } from '../problem.ts';
import type { MBConvConfig, MBConvPlan } from './plan.ts';

/** One image's hidden map on its way to the output. */
export interface ProjectStage {
  readonly packed: Buffer;
  readonly image: Value;
  readonly map: Buffer;
  readonly mapAt: Value;
  /** Factors of hidden channels, if the block has any. */
  readonly gate: Buffer | undefined;
  readonly residual: Buffer | undefined;
  readonly y: Buffer;
}

/** Emits gating, in place, and projection for row tiles `first` to `end` of an image's map. */
export function emitProject(
  b: KernelBuilder,
  problem: MBConvProblem,
  config: MBConvConfig,
  plan: MBConvPlan,
  stage: ProjectStage,
  tiles: { readonly first: Value; readonly end: Value },
): void {
  const { downRows } = config;
  const fullTiles = Math.floor(plan.outPixels / downRows);
  const lastRows = plan.outPixels % downRows;
  const emit = (tile: Value, rows: number): void => {
    const pixel = b.mul(tile, downRows);
    if (stage.gate) emitGating(b, plan, stage, stage.gate, pixel, rows);
    emitPanels(b, problem, config, plan, stage, pixel, rows);
  };
  b.for(tiles.first, b.min(tiles.end, fullTiles), 1, (tile) => emit(tile, downRows));
  if (lastRows > 0) b.if(b.lt(fullTiles, tiles.end), () => emit(b.i32(fullTiles), lastRows));
}

function emitGating(
  b: KernelBuilder,
  { mapStride, hiddenFloats }: MBConvPlan,
  { map, mapAt }: ProjectStage,
  gate: Buffer,
  first: Value,
  rows: number,
): void {
  b.for(first, b.add(first, rows), 1, (pixel) => {
    const at = b.add(mapAt, b.mul(pixel, mapStride));
    b.for(0, hiddenFloats, b.lanes, (c) => {
      b.store(map, b.add(at, c), b.mul(b.loadVec(map, b.add(at, c)), b.loadVec(gate, c)));
    });
  });
}

function emitPanels(
  b: KernelBuilder,
  { outputPitch, epilogue }: MBConvProblem,
  { unroll }: MBConvConfig,
  { layout, mapStride, outPixels }: MBConvPlan,
  { packed, image, map, mapAt, residual, y }: ProjectStage,
  pixel: Value,
  rows: number,
): void {
  const { panels, offset } = layout.down;
  const { vectors, fullPanels, lastVectors, depth, lanes } = panels;
  const emitPanel = (panel: Value, count: number): void => {
    const weights = { buffer: packed, base: b.add(b.mul(panel, panelStride(panels)), offset) };
    const channel = b.mul(panel, vectors * lanes);
    const left = {
      buffer: map,
      base: b.add(mapAt, b.mul(pixel, mapStride)),
      rowOffset: (r: number) => r * mapStride,
    };
    const accumulators = newTile(b, rows, count, () => b.vec(0));
    accumulate(b, accumulators, left, weights, depth, unroll);
    const to = b.add(b.mul(b.add(b.mul(image, outPixels), pixel), outputPitch), channel);
    accumulators.forEach((row, r) => {
      row.forEach((sum, v) => {
        const at = r * outputPitch + v * lanes;
        const vectorsOf = loadEpilogue(b, layout.epilogue, packed, b.add(channel, v * lanes));
        const added = residual && b.loadVec(residual, to, at);
        b.store(y, to, applyEpilogue(b, epilogue, vectorsOf, sum.get(), added), at);
      });
    });
  };
  b.for(0, fullPanels, 1, (panel) => emitPanel(panel, vectors));
  if (lastVectors > 0) emitPanel(b.i32(fullPanels), lastVectors);
}
