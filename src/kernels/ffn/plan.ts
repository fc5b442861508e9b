import type { Kernel } from '../../codegen/ir.ts';
import { roundUp } from '../divide.ts';
import { epilogueLayout, packEpilogue, shiftEpilogue } from '../epilogue.ts';
import type { EpilogueLayout } from '../epilogue.ts';
import type { Config } from '../family.ts';
import { packProduct, packVector } from '../gemm/pack.ts';
import { panelCount, panelFloats, panelsOf } from '../gemm/panels.ts';
import type { Panels } from '../gemm/panels.ts';
import type { Activation, Epilogue } from '../problem.ts';

/** Two products one after the other, with an activation between them. */
export interface TwoProducts {
  readonly inputs: number;
  readonly hidden: number;
  readonly outputs: number;
  readonly outputPitch: number;
  readonly hiddenBias: boolean;
  readonly activation: Activation;
  readonly epilogue: Epilogue;
}

/** How a block of rows is computed: in register tiles, a chunk of hidden channels at a time. */
export interface BlockConfig extends Config {
  readonly lanes: number;
  readonly tileRows: number;
  readonly tileVectors: number;
  /** Weight panels of the first product whose results are kept at a time. */
  readonly chunkPanels: number;
  /** Steps of the innermost loops' bodies. */
  readonly unroll: number;
}

/** Everything about weights and chunks that follows from products and configuration. */
export interface BlockPlan {
  /** Panels of the first product's weights; they lie at the beginning of `packed`. */
  readonly up: Panels;
  /** Panels of the second product's weights. Its depth is hidden channels, rounded up to whole vectors. */
  readonly down: Panels;
  readonly downOffset: number;
  /** Where the first product's bias lies, rounded up with zeros; undefined if there is none. */
  readonly biasOffset: number | undefined;
  readonly epilogue: EpilogueLayout;
  readonly packedFloats: number;
  /** Chunks before the last one, which may be smaller than they are. */
  readonly fullChunks: number;
  readonly lastChunkPanels: number;
  /** Floats from row to row of the hidden channels of a chunk. */
  readonly hiddenStride: number;
}

/** @param depth steps of the first product's sums: `inputs`, or somewhat more, of which what exceeds them is zero. */
export function planBlock(products: TwoProducts, depth: number, config: BlockConfig): BlockPlan {
  const { lanes, tileVectors, chunkPanels } = config;
  const { hidden, outputPitch, hiddenBias } = products;
  const hiddenFloats = Math.ceil(hidden / lanes) * lanes;
  const up = panelsOf(depth, hiddenFloats, lanes, tileVectors);
  const down = panelsOf(hiddenFloats, outputPitch, lanes, tileVectors);
  const biasStart = panelFloats(up);
  const downOffset = roundUp(biasStart + (hiddenBias ? hiddenFloats : 0), LINE);
  const weightsEnd = downOffset + panelFloats(down);
  const epilogue = epilogueLayout(products.epilogue, outputPitch, weightsEnd);
  const fullChunks = Math.ceil(panelCount(up) / chunkPanels) - 1;
  return {
    up,
    down,
    downOffset,
    biasOffset: hiddenBias ? biasStart : undefined,
    epilogue,
    packedFloats: weightsEnd + epilogue.floats,
    fullChunks,
    lastChunkPanels: panelCount(up) - fullChunks * chunkPanels,
    hiddenStride: oddLines(Math.min(hiddenFloats, chunkPanels * tileVectors * lanes)),
  };
}

/** Floats of at least as many whole cache lines, an odd number of them, so that rows use all sets of a cache. */
export function oddLines(floats: number): number {
  return (Math.ceil(floats / LINE) | 1) * LINE;
}

/** Floats of a cache line. */
const LINE = 16;

/** Which weights are packed, and where to. */
export interface PackedPlace {
  /** What comes behind their names; default nothing. */
  readonly names?: string;
  /** Where they begin in `packed`; default 0. */
  readonly start?: number;
}

/** The kernels that pack `up`, `up_bias`, `down`, `bias` and `scale`. */
export function packBlock(
  products: TwoProducts,
  plan: BlockPlan,
  { names = '', start = 0 }: PackedPlace = {},
): Kernel[] {
  const { inputs, hidden, outputs, epilogue } = products;
  const { up, down, downOffset, biasOffset } = plan;
  return [
    packProduct(`up${names}`, up, start, hidden, inputs),
    ...(biasOffset === undefined ? [] : [packVector(`up_bias${names}`, hidden, start + biasOffset)]),
    packProduct(`down${names}`, down, start + downOffset, outputs, hidden),
    ...packEpilogue(epilogue, shiftEpilogue(plan.epilogue, start), outputs, names),
  ];
}
