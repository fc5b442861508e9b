import type { Config } from '../family.ts';
import { epilogueLayout } from '../epilogue.ts';
import type { EpilogueLayout } from '../epilogue.ts';
import { roundUp } from '../divide.ts';
import { oddLines } from '../ffn/plan.ts';
import { paddedDepth, panelFloats, panelsOf } from '../gemm/panels.ts';
import type { Panels } from '../gemm/panels.ts';
import { outputMap } from '../problem.ts';
import type { MBConvProblem } from '../problem.ts';

/** How an MBConv block is computed: in chunks of hidden channels, band by band of the map. */
export interface MBConvConfig extends Config {
  /** Of expansion and spatial convolution, whose vectors lie within groups or are whole groups. */
  readonly lanes: number;
  /** Of the projection, whose vectors divide the output's pitch. The same where one kernel does both. */
  readonly downLanes: number;
  /** Pixels of the expansion's register tiles, which do not go beyond a row of the map. */
  readonly upRows: number;
  /** Vectors of the expansion's register tiles: the hidden channels of a chunk. */
  readonly upVectors: number;
  /** Register tiles of the projection: pixels × vectors. */
  readonly downRows: number;
  readonly downVectors: number;
  /** Rows of the spatial convolution's output between which its input is made. */
  readonly bandRows: number;
  /** Neighbouring outputs of the spatial convolution in registers. */
  readonly pixels: number;
  /** Steps of the innermost loops' bodies. */
  readonly unroll: number;
  /**
   * Tasks of an image before its means are known, and after; 0 and 0: one task computes an image from end to end.
   * None is without work.
   */
  readonly chunkTasks: number;
  readonly rowTasks: number;
}

/** Places in `packed`. */
export interface MBConvLayout {
  /** Weights of the expansion: panels of one chunk each. */
  readonly up:
    { readonly panels: Panels; readonly offset: number; readonly bias: number | undefined } | undefined;
  /** Depthwise: [vector][tap][lanes]. Grouped: [vector][ky][input][kx][lanes]. */
  readonly spatial: { readonly offset: number; readonly bias: number | undefined };
  readonly gate: GateLayout | undefined;
  readonly down: { readonly panels: Panels; readonly offset: number };
  readonly epilogue: EpilogueLayout;
  readonly floats: number;
}

export interface GateLayout {
  readonly squeeze: Panels;
  readonly squeezeOffset: number;
  readonly squeezeBias: number;
  readonly excite: Panels;
  readonly exciteOffset: number;
  readonly exciteBias: number;
}

/** Everything that follows from problem and configuration. */
export interface MBConvPlan {
  readonly layout: MBConvLayout;
  readonly depthwise: boolean;
  /** Hidden channels, rounded up to whole vectors. */
  readonly hiddenFloats: number;
  /** Hidden channels of a full chunk; the last one may have fewer vectors, if that is not 0. */
  readonly chunkFloats: number;
  readonly fullChunks: number;
  readonly lastVectors: number;
  readonly chunks: number;
  /** Height and width of the output map, and how many pixels that is. */
  readonly outHeight: number;
  readonly outWidth: number;
  readonly outPixels: number;
  /** The spatial convolution's input, zeros around it included: rows of a full band, and pixels of a row. */
  readonly bandHeight: number;
  readonly bandWidth: number;
  /** Rows that the next band needs as well. */
  readonly sharedRows: number;
  /** Floats from pixel to pixel of the spatial convolution's result. */
  readonly mapStride: number;
  /** Row tiles of an image in the projection. */
  readonly rowTiles: number;
}

const GATE_VECTORS = 4;

export function planMBConv(problem: MBConvProblem, config: MBConvConfig): MBConvPlan {
  const { width, hidden, groups, kernelHeight, kernelWidth, stride, padding } = problem;
  const { lanes, upVectors, bandRows, downRows } = config;
  const out = outputMap(problem);
  const vectors = Math.ceil(hidden / lanes);
  const fullChunks = Math.floor(vectors / upVectors);
  const lastVectors = vectors % upVectors;
  return {
    layout: layoutOf(problem, config),
    depthwise: groups === hidden,
    hiddenFloats: vectors * lanes,
    chunkFloats: upVectors * lanes,
    fullChunks,
    lastVectors,
    chunks: fullChunks + (lastVectors > 0 ? 1 : 0),
    outHeight: out.height,
    outWidth: out.width,
    outPixels: out.height * out.width,
    bandHeight: Math.min(bandRows, out.height) * stride + kernelHeight - stride,
    bandWidth: Math.max(padding.left + width, (out.width - 1) * stride + kernelWidth),
    sharedRows: kernelHeight - stride,
    mapStride: oddLines(vectors * lanes),
    rowTiles: Math.ceil((out.height * out.width) / downRows),
  };
}

function layoutOf(
  problem: MBConvProblem,
  { lanes, downLanes, upVectors, downVectors }: MBConvConfig,
): MBConvLayout {
  const { channels, hidden, groups, outputPitch, inputPitch, kernelHeight, kernelWidth } = problem;
  const { expand, spatial, squeeze } = problem;
  const hiddenFloats = Math.ceil(hidden / lanes) * lanes;
  let next = 0;
  const take = (floats: number): number => {
    const offset = next;
    next = roundUp(next + floats, LINE);
    return offset;
  };
  const panelsAt = (panels: Panels): { panels: Panels; offset: number } => ({
    panels,
    offset: take(panelFloats(panels)),
  });
  const biasAt = (present: boolean): number | undefined => (present ? take(hiddenFloats) : undefined);
  const up = expand && {
    ...panelsAt(panelsOf(paddedDepth(channels, inputPitch), hiddenFloats, lanes, upVectors)),
    bias: biasAt(expand.bias),
  };
  const taps = (hidden / groups) * kernelHeight * kernelWidth;
  const spatialAt = { offset: take(hiddenFloats * taps), bias: biasAt(spatial.bias) };
  const gate = squeeze && gateLayout(squeeze.channels, hiddenFloats, downLanes, take);
  const down = panelsAt(panelsOf(hiddenFloats, outputPitch, downLanes, downVectors));
  const epilogue = epilogueLayout(problem.epilogue, outputPitch, next);
  return { up, spatial: spatialAt, gate, down, epilogue, floats: next + epilogue.floats };
}

function gateLayout(
  squeezed: number,
  hiddenFloats: number,
  lanes: number,
  take: (floats: number) => number,
): GateLayout {
  const squeezedFloats = Math.ceil(squeezed / lanes) * lanes;
  const squeeze = panelsOf(hiddenFloats, squeezedFloats, lanes, GATE_VECTORS);
  const excite = panelsOf(squeezed, hiddenFloats, lanes, GATE_VECTORS);
  return {
    squeeze,
    squeezeOffset: take(panelFloats(squeeze)),
    squeezeBias: take(squeezedFloats),
    excite,
    exciteOffset: take(panelFloats(excite)),
    exciteBias: take(hiddenFloats),
  };
}

/** Floats of a cache line. */
const LINE = 16;
