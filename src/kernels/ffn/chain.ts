import type { KernelBuilder } from '../../codegen/builder.ts';
import type { Buffer, Value } from '../../codegen/ir.ts';
import { blockOfChain } from '../problem.ts';
import type { ConvFirstChainProblem, ConvFirstProblem } from '../problem.ts';
import { emitBlock } from './block.ts';
import { oddLines, planBlock } from './plan.ts';
import type { BlockConfig, BlockPlan, TwoProducts } from './plan.ts';
import { emitSpatial, spatialLayout } from './spatial.ts';
import type { SpatialLayout } from './spatial.ts';

export interface ChainConfig extends BlockConfig {
  /** Tasks of an image, each with as many rows. */
  readonly parts: number;
  /** Rows that go through all blocks at a time. */
  readonly stepRows: number;
  /** Neighbouring outputs of the grouped convolution in registers. */
  readonly pixels: number;
}

/** Everything about a chain that follows from problem and configuration. */
export interface ChainPlan {
  readonly block: ConvFirstProblem;
  /** Without the residual, which is added when a row goes to the next block. */
  readonly products: TwoProducts;
  readonly plan: BlockPlan;
  readonly layout: SpatialLayout;
  /** From the weights of one block to those of the next. */
  readonly blockFloats: number;
  /** Rows above and below that a row of a block's output needs of its input. */
  readonly margin: number;
  /** Rows of the output that a task makes; the last part of an image may have fewer. */
  readonly partRows: number;
  /** Steps until the last block is through. */
  readonly steps: number;
  readonly rowPitch: number;
  /** Floats that a block keeps of its input: the rows of a step, those before that it needs again, and zeros beside them. */
  readonly mapFloats: number;
  /** Floats from pixel to pixel of what the products read. */
  readonly stride: number;
  /** All other scratch memory. */
  readonly otherFloats: number;
}

export function chainPlan(problem: ConvFirstChainProblem, config: ChainConfig): ChainPlan {
  const { blocks, height, width, channels, pitch, kernelHeight, kernelWidth } = problem;
  const { parts, stepRows, tileRows } = config;
  const block = blockOfChain(problem);
  const products = { ...block, inputs: channels, epilogue: { ...block.epilogue, residual: false } };
  const plan = planBlock(products, channels, config);
  const layout = spatialLayout(block, plan.packedFloats);
  const margin = (kernelHeight - 1) / 2;
  const partRows = Math.ceil(height / parts);
  const rowPitch = (width + kernelWidth - 1) * pitch;
  const stride = oddLines(channels);
  const perTileRow = plan.hiddenStride + (plan.fullChunks > 0 ? pitch : 0);
  return {
    block,
    products,
    plan,
    layout,
    blockFloats: Math.ceil(layout.end / 16) * 16,
    margin,
    partRows,
    steps: Math.ceil((partRows + 2 * margin * blocks) / stepRows),
    rowPitch,
    mapFloats: (stepRows + 2 * margin) * rowPitch,
    stride,
    otherFloats: stepRows * width * (stride + pitch) + tileRows * perTileRow,
  };
}

/** A block at one step of the sweep. Rows are rows of the image. */
interface Stage {
  readonly block: Value;
  readonly image: Value;
  /** The first of the `stepRows` rows that the block would make, on the map or not. */
  readonly first: Value;
  /** Rows that it makes: those that somebody needs. */
  readonly from: Value;
  readonly end: Value;
}

interface Buffers {
  readonly x: Buffer;
  readonly packed: Buffer;
  readonly y: Buffer;
  /** What blocks keep of their inputs, block by block. */
  readonly maps: Buffer;
  readonly spatial: Buffer;
  /** What the products make of the rows of a step, without residual. */
  readonly made: Buffer;
}

/**
 * Emits the sweep. With margin m, block j of n makes rows i − (j + 1)·m … of its output when rows i … of the image come in:
 *
 *     for each step, i = (first row) − n·m, then stepRows further:
 *       rows i … of x       → the map of block 0
 *       for each block j:     rows i − (j + 1)·m … of its output → the map of block j + 1, or y
 *
 * A map has room for stepRows rows below the 2·m rows of the steps before; rows beyond the image are zero in it.
 */
export function emitChain(
  b: KernelBuilder,
  problem: ConvFirstChainProblem,
  config: ChainConfig,
  io: Pick<Buffers, 'x' | 'packed' | 'y'>,
): void {
  const { blocks, height, width, pitch } = problem;
  const { parts, stepRows } = config;
  const chain = chainPlan(problem, config);
  const { margin, partRows } = chain;
  const buffers = {
    ...io,
    maps: b.scratch('maps', blocks * chain.mapFloats),
    spatial: b.scratch('spatial', stepRows * width * chain.stride),
    made: b.scratch('made', stepRows * width * pitch),
  };
  const image = b.div(b.task, parts);
  const partFrom = b.mul(b.rem(b.task, parts), partRows);
  const partEnd = b.min(b.add(partFrom, partRows), height);
  clearSides(b, problem, chain, buffers.maps, stepRows + 2 * margin);
  b.for(0, chain.steps, 1, (step) => {
    const coming = b.add(b.sub(partFrom, blocks * margin), b.mul(step, stepRows));
    takeRows(b, problem, config, chain, buffers, image, coming);
    b.for(0, blocks, 1, (block) => {
      const first = b.sub(coming, b.mul(b.add(block, 1), margin));
      // Blocks behind this one need rows around those of the part.
      const around = b.mul(b.sub(blocks - 1, block), margin);
      const stage = {
        block,
        image,
        first,
        from: b.max(first, b.max(b.sub(partFrom, around), 0)),
        end: b.min(b.add(first, stepRows), b.min(b.add(partEnd, around), height)),
      };
      b.if(b.lt(stage.from, stage.end), () => compute(b, problem, config, chain, buffers, stage));
      b.if(
        b.lt(block, blocks - 1),
        () => handOver(b, problem, config, chain, buffers, stage),
        () => finish(b, problem, chain, buffers, stage),
      );
    });
  });
}

/** Zeros to the left and to the right of all maps, which stay. */
function clearSides(
  b: KernelBuilder,
  { blocks, width, pitch }: ConvFirstChainProblem,
  { rowPitch }: ChainPlan,
  maps: Buffer,
  rows: number,
): void {
  const side = (rowPitch - width * pitch) / 2;
  const zero = b.vec(0);
  b.for(0, blocks * rows, 1, (row) => {
    const at = b.mul(row, rowPitch);
    for (const start of [0, side + width * pitch]) {
      b.for(0, side, b.lanes, (i) => b.store(maps, b.add(at, i), zero, start));
    }
  });
}

/** Moves the last rows of a block's map to its top, where the next step wants them. */
function keepRows(
  b: KernelBuilder,
  { stepRows }: ChainConfig,
  { margin, rowPitch }: ChainPlan,
  maps: Buffer,
  map: Value,
): void {
  b.for(0, 2 * margin * rowPitch, b.lanes, (i) => {
    const at = b.add(map, i);
    b.store(maps, at, b.loadVec(maps, at, stepRows * rowPitch));
  });
}

/** The next rows of x, or zeros beyond the image, into the map of block 0. */
function takeRows(
  b: KernelBuilder,
  { height, width, pitch }: ConvFirstChainProblem,
  config: ChainConfig,
  chain: ChainPlan,
  { x, maps }: Buffers,
  image: Value,
  coming: Value,
): void {
  keepRows(b, config, chain, maps, b.i32(0));
  b.for(0, config.stepRows, 1, (i) => {
    const row = b.add(coming, i);
    const from = b.mul(b.add(b.mul(image, height), row), width * pitch);
    const to = rowOf(b, chain, width * pitch, b.i32(0), i);
    putRow(b, { height, floats: width * pitch }, row, maps, to, (at) => b.loadVec(x, b.add(from, at)));
  });
}

/** Where row i of those of a step lies in a block's map. */
function rowOf(b: KernelBuilder, chain: ChainPlan, rowFloats: number, map: Value, i: Value): Value {
  const { margin, rowPitch } = chain;
  const top = 2 * margin * rowPitch + (rowPitch - rowFloats) / 2;
  return b.add(b.add(map, top), b.mul(i, rowPitch));
}

/** A row of a map: `value` on the image, zeros beyond it. */
function putRow(
  b: KernelBuilder,
  { height, floats }: { readonly height: number; readonly floats: number },
  row: Value,
  maps: Buffer,
  to: Value,
  value: (at: Value) => Value,
): void {
  b.if(
    b.and(b.le(0, row), b.lt(row, height)),
    () => b.for(0, floats, b.lanes, (at) => b.store(maps, b.add(to, at), value(at))),
    () => {
      const zero = b.vec(0);
      b.for(0, floats, b.lanes, (at) => b.store(maps, b.add(to, at), zero));
    },
  );
}

/** Convolution and products of a stage's rows, into `made`; a tile of rows that would go beyond them overlaps others. */
function compute(
  b: KernelBuilder,
  { width, pitch }: ConvFirstChainProblem,
  config: ChainConfig,
  chain: ChainPlan,
  { packed, maps, spatial, made }: Buffers,
  { block, first, from, end }: Stage,
): void {
  const { products, plan, layout, blockFloats, mapFloats, rowPitch, stride } = chain;
  const { tileRows } = config;
  const rows = b.sub(end, from);
  const weights = b.mul(block, blockFloats);
  const start = b.add(b.mul(block, mapFloats), b.mul(b.sub(from, first), rowPitch));
  const inputs = { packed, weights, band: maps, start, rowPitch, rows };
  emitSpatial(b, chain.block, layout, config.pixels, { ...inputs, result: spatial, stride });
  const pixels = b.mul(rows, width);
  const tiles = b.div(b.add(pixels, tileRows - 1), tileRows);
  b.for(0, tiles, 1, (tile) => {
    const pixel = b.min(b.mul(tile, tileRows), b.sub(pixels, tileRows));
    emitBlock(b, products, config, plan, {
      packed,
      weights,
      tiles: 1,
      forEachTile: (body) => body(b.i32(0), tileRows),
      left: () => ({ buffer: spatial, base: b.mul(pixel, stride), rowOffset: (r) => r * stride }),
      outputAt: () => b.mul(pixel, pitch),
      residual: undefined,
      y: made,
    });
  });
}

/** The stage's rows, with the residual, into the map of the next block. */
function handOver(
  b: KernelBuilder,
  { height, width, pitch, epilogue }: ConvFirstChainProblem,
  config: ChainConfig,
  chain: ChainPlan,
  { maps, made }: Buffers,
  { block, first, from }: Stage,
): void {
  const floats = width * pitch;
  const map = b.mul(block, chain.mapFloats);
  const next = b.add(map, chain.mapFloats);
  keepRows(b, config, chain, maps, next);
  b.for(0, config.stepRows, 1, (i) => {
    const row = b.add(first, i);
    const to = rowOf(b, chain, floats, next, i);
    // The block's own input: the rows of a stage lie `margin` above those that came in.
    const own = b.sub(rowOf(b, chain, floats, map, i), chain.margin * chain.rowPitch);
    // Rows that nobody needs are put there as well, whatever they hold; `made` has those from `from` on.
    const result = b.mul(b.max(b.sub(row, from), 0), floats);
    putRow(b, { height, floats }, row, maps, to, (at) => {
      const value = b.loadVec(made, b.add(result, at));
      return epilogue.residual ? b.add(value, b.loadVec(maps, b.add(own, at))) : value;
    });
  });
}

/** The last block's rows, with the residual, to y. */
function finish(
  b: KernelBuilder,
  { height, width, pitch, epilogue }: ConvFirstChainProblem,
  chain: ChainPlan,
  { maps, made, y }: Buffers,
  { block, image, first, from, end }: Stage,
): void {
  const floats = width * pitch;
  const map = b.mul(block, chain.mapFloats);
  b.for(from, end, 1, (row) => {
    const own = b.sub(rowOf(b, chain, floats, map, b.sub(row, first)), chain.margin * chain.rowPitch);
    const result = b.mul(b.sub(row, from), floats);
    const to = b.mul(b.add(b.mul(image, height), row), floats);
    b.for(0, floats, b.lanes, (at) => {
      const value = b.loadVec(made, b.add(result, at));
      const sum = epilogue.residual ? b.add(value, b.loadVec(maps, b.add(own, at))) : value;
      b.store(y, b.add(to, at), sum);
    });
  });
}
