import { KernelBuilder } from '../../codegen/builder.ts';
import type { Buffer, Kernel, Value } from '../../codegen/ir.ts';
import { applyEpilogue, epilogueLayout, loadEpilogue, packEpilogue } from '../epilogue.ts';
import { kernelName } from '../family.ts';
import type { Emission } from '../family.ts';
import { panelFloats, panelStride } from '../gemm/panels.ts';
import { accumulate, newTile } from '../gemm/tile.ts';
import type { Ahead, Tile } from '../gemm/tile.ts';
import type { ConvProblem } from '../problem.ts';
import { emitBandCopy } from './band.ts';
import { planConv } from './plan.ts';
import type { ConvConfig, ConvPlan } from './plan.ts';
import { emitWeightPacking } from './weights.ts';

/** Where loops are unrolled at all, kernel rows of at most this many products are straight-line code. */
const MAX_UNROLLED_ROW = 32;

/**
 * Convolution as a matrix product whose left-hand side is never built: the element at (output pixel, tap, input)
 * lies at a constant distance from the pixel's first tap, so that a register tile broadcasts it from where it
 * is. What windows see beyond the map is made of zeros in a copy of the pixels that a task needs.
 */
export function emitConv(problem: ConvProblem, config: ConvConfig): Emission {
  const plan = planConv(problem, config);
  const weightFloats = panelFloats(plan.panels);
  const layout = epilogueLayout(problem.epilogue, problem.outputPitch, weightFloats);
  const suffix = kernelName(
    `${problem.height}x${problem.width}x${problem.inputs}_${problem.outputs}`,
    `k${problem.kernelHeight}x${problem.kernelWidth}s${problem.stride}`,
    ...(problem.groups > 1 ? [`g${problem.groups}`] : []),
    `t${config.tileHeight}x${config.tileWidth}x${config.tileVectors}`,
    `l${config.lanes}`,
  );
  return {
    main: [new ConvEmitter(problem, config, plan, `conv_${suffix}`).emit()],
    prepare: [
      emitWeightPacking(problem, plan, `conv_pack_${problem.adjoint ? 'adjoint_' : ''}${suffix}`),
      ...packEpilogue(problem.epilogue, layout, problem.outputs),
    ],
    packedFloats: weightFloats + layout.floats,
    tempFloats: 0,
  };
}

/** The upper left pixel of a register tile, relative to the task's, and its size. */
interface TilePlace {
  readonly row: Value;
  readonly column: Value;
  readonly height: number;
  readonly width: number;
}

/** The weights of a register tile. */
interface PanelPlace {
  /** Where the panel starts in `packed`. */
  readonly base: Value;
  /** The first output channel. */
  readonly channel: Value;
  readonly vectors: number;
  /** Where the windows of the task's first output start. */
  readonly source: Value;
}

/** The products over which all tiles of a task go before weights change. */
interface Span {
  /** The first of them, among all products of an output. */
  readonly start: Value;
  readonly depth: number;
  /** Where the weights of the next span lie in `packed`. */
  readonly next: Value;
}

class ConvEmitter {
  readonly #problem: ConvProblem;
  readonly #config: ConvConfig;
  readonly #plan: ConvPlan;
  readonly #b: KernelBuilder;
  readonly #x: Buffer;
  readonly #packed: Buffer;
  readonly #residual: Buffer | undefined;
  readonly #y: Buffer;
  readonly #band: Buffer | undefined;
  readonly #sums: Buffer | undefined;
  /** What the task computes. */
  readonly #image: Value;
  readonly #rowBlock: Value;
  readonly #columnBlock: Value;
  readonly #groupBlock: Value;
  readonly #panelBlock: Value;

  constructor(problem: ConvProblem, config: ConvConfig, plan: ConvPlan, name: string) {
    const { kernelHeight, kernelWidth, stride, groups } = problem;
    const { lanes, tileHeight, tileWidth, tileVectors, bandRows, bandColumns } = config;
    this.#problem = problem;
    this.#config = config;
    this.#plan = plan;
    const b = new KernelBuilder({
      name,
      description:
        `conv ${kernelHeight}×${kernelWidth}/${stride} [${problem.height}, ${problem.width}, ${problem.inputs}] → ${problem.outputs}, ` +
        `${groups} groups, register tiles of ${tileHeight}×${tileWidth} pixels × ${tileVectors} vectors`,
      lanes,
      tasks: plan.tasks,
    });
    this.#b = b;
    this.#x = b.input('x');
    this.#packed = b.input('packed');
    this.#residual = problem.epilogue.residual ? b.input('residual') : undefined;
    this.#y = b.output('y');
    this.#band = plan.direct ? undefined : b.scratch('band', config.bandGroups * plan.planeFloats);
    this.#sums =
      plan.passes > 1 ? b.scratch('sums', bandRows * bandColumns * tileVectors * lanes) : undefined;
    const digits = [plan.columnBlocks, plan.rowBlocks, problem.batch, plan.groupBlocks];
    let rest = b.task;
    const [column, row, image, group] = digits.map((radix) => {
      const digit = b.rem(rest, radix);
      rest = b.div(rest, radix);
      return digit;
    });
    const zero = b.i32(0);
    this.#columnBlock = column ?? zero;
    this.#rowBlock = row ?? zero;
    this.#image = image ?? zero;
    this.#groupBlock = group ?? zero;
    this.#panelBlock = rest;
  }

  emit(): Kernel {
    const b = this.#b;
    const { stride, padding, dilation, kernelHeight, height, width, inputPitch } = this.#problem;
    const { bandRows, bandColumns, bandGroups } = this.#config;
    const { direct, groupInputs, planeFloats } = this.#plan;
    const firstRow = b.sub(b.mul(this.#rowBlock, bandRows * stride), padding.top);
    const firstColumn = b.sub(b.mul(this.#columnBlock, bandColumns * stride), padding.left);
    const firstChannel = b.mul(this.#groupBlock, bandGroups * groupInputs);
    if (this.#band) {
      const rows = b.add(b.mul(b.sub(this.#rowsHere(), 1), stride), dilation * (kernelHeight - 1) + 1);
      emitBandCopy(b, this.#problem, this.#plan, bandGroups, this.#x, this.#band, {
        image: this.#image,
        firstRow,
        firstColumn,
        rows,
        channel: firstChannel,
      });
    }
    const origin = direct
      ? b.add(
          b.mul(b.add(b.mul(b.add(b.mul(this.#image, height), firstRow), width), firstColumn), inputPitch),
          firstChannel,
        )
      : b.i32(0);
    const groupStride = direct ? groupInputs : planeFloats;
    b.for(0, bandGroups, 1, (group) => {
      const source = b.add(origin, b.mul(group, groupStride));
      this.#emitPanels(b.add(b.mul(this.#groupBlock, bandGroups), group), source);
    });
    return b.build();
  }

  /** The panels of one group that are the task's. */
  #emitPanels(group: Value, source: Value): void {
    const b = this.#b;
    const { panels, groupPanels, panelBlocks } = this.#plan;
    const firstPanel = b.mul(this.#panelBlock, this.#config.panels);
    const groupFirst = b.mul(group, groupPanels);
    const endPanel = b.min(b.add(firstPanel, this.#config.panels), groupPanels);
    const place = (panel: Value, vectors: number): PanelPlace => ({
      base: b.mul(panel, panelStride(panels)),
      channel: b.mul(panel, panels.vectors * b.lanes),
      vectors,
      source,
    });
    const start = b.add(groupFirst, firstPanel);
    const end = b.min(b.add(groupFirst, endPanel), panels.fullPanels);
    b.for(start, end, 1, (panel) => this.#emitPanel(place(panel, panels.vectors)));
    if (panels.lastVectors > 0) {
      b.if(b.eq(this.#panelBlock, panelBlocks - 1), () =>
        this.#emitPanel(place(b.i32(panels.fullPanels), panels.lastVectors)),
      );
    }
  }

  #emitPanel(panel: PanelPlace): void {
    const b = this.#b;
    const { kernelWidth } = this.#problem;
    const { bandRows, bandColumns, tileVectors, passTaps, panelsAhead } = this.#config;
    const { panels, groupInputs } = this.#plan;
    const sums = this.#sums;
    const nextPanel = b.add(panel.base, panelsAhead * panelStride(panels));
    if (sums === undefined) {
      const span = { start: b.i32(0), depth: panels.depth, next: nextPanel };
      this.#forEachTile((tile) => {
        const accumulators = newTile(b, tile.height * tile.width, panel.vectors, () => b.vec(0));
        b.for(0, this.#problem.kernelHeight, 1, (ky) =>
          this.#addKernelRow(accumulators, tile, panel, span, ky),
        );
        this.#finish(tile, panel, (r, v) => accumulators[r]?.[v]?.get() ?? b.vec(0));
      });
      return;
    }
    b.for(0, bandRows * bandColumns * tileVectors * b.lanes, b.lanes, (i) => b.store(sums, i, b.vec(0)));
    b.for(0, this.#problem.kernelHeight, 1, (ky) => {
      b.for(0, kernelWidth, passTaps, (kx) => {
        const start = b.mul(b.add(b.mul(ky, kernelWidth), kx), groupInputs);
        const depth = passTaps * groupInputs;
        const end = b.add(start, depth);
        const following = b.add(panel.base, b.mul(end, panel.vectors * b.lanes));
        const span = { start, depth, next: b.select(b.lt(end, panels.depth), following, nextPanel) };
        this.#forEachTile((tile) => {
          const at = this.#sumIndex(tile);
          const offset = (r: number, v: number): number => this.#sumOffset(tile, r, v);
          const accumulators = newTile(b, tile.height * tile.width, panel.vectors, (r, v) =>
            b.loadVec(sums, at, offset(r, v)),
          );
          if (passTaps === kernelWidth) this.#addKernelRow(accumulators, tile, panel, span, ky);
          else this.#addTap(accumulators, tile, panel, span, ky, kx);
          accumulators.forEach((row, r) =>
            row.forEach((accumulator, v) => b.store(sums, at, accumulator.get(), offset(r, v))),
          );
        });
      });
    });
    this.#forEachTile((tile) => {
      const at = this.#sumIndex(tile);
      this.#finish(tile, panel, (r, v) => b.loadVec(sums, at, this.#sumOffset(tile, r, v)));
    });
  }

  #sumIndex(tile: TilePlace): Value {
    const b = this.#b;
    const { bandColumns, tileVectors } = this.#config;
    return b.mul(b.add(b.mul(tile.row, bandColumns), tile.column), tileVectors * b.lanes);
  }

  #sumOffset(tile: TilePlace, r: number, v: number): number {
    const { bandColumns, tileVectors, lanes } = this.#config;
    const pixel = Math.floor(r / tile.width) * bandColumns + (r % tile.width);
    return (pixel * tileVectors + v) * lanes;
  }

  /** Adds the products of one row of the kernel. */
  #addKernelRow(accumulators: Tile, tile: TilePlace, panel: PanelPlace, span: Span, ky: Value): void {
    const b = this.#b;
    const { kernelWidth, dilation } = this.#problem;
    const { groupInputs, pixelPitch } = this.#plan;
    if (dilation === 1 && pixelPitch === groupInputs) {
      this.#addRun(accumulators, tile, panel, span, ky, b.i32(0), kernelWidth * groupInputs);
    } else if (this.#config.unroll > 1 && kernelWidth * groupInputs <= MAX_UNROLLED_ROW) {
      for (let kx = 0; kx < kernelWidth; kx++) this.#addTap(accumulators, tile, panel, span, ky, b.i32(kx));
    } else {
      b.for(0, kernelWidth, 1, (kx) => this.#addTap(accumulators, tile, panel, span, ky, kx));
    }
  }

  #addTap(accumulators: Tile, tile: TilePlace, panel: PanelPlace, span: Span, ky: Value, kx: Value): void {
    this.#addRun(accumulators, tile, panel, span, ky, kx, this.#plan.groupInputs);
  }

  /** Adds `depth` products that are neighbours in memory, from tap (ky, kx) on. */
  #addRun(
    accumulators: Tile,
    tile: TilePlace,
    panel: PanelPlace,
    span: Span,
    ky: Value,
    kx: Value,
    depth: number,
  ): void {
    const b = this.#b;
    const { kernelWidth, stride, dilation } = this.#problem;
    const { groupInputs, pixelPitch, rowPitch } = this.#plan;
    const { unroll } = this.#config;
    const buffer = this.#band ?? this.#x;
    const row = b.add(b.mul(tile.row, stride), b.mul(ky, dilation));
    const column = b.add(b.mul(tile.column, stride), b.mul(kx, dilation));
    const left = {
      buffer,
      base: b.add(panel.source, b.add(b.mul(row, rowPitch), b.mul(column, pixelPitch))),
      rowOffset: (r: number) =>
        Math.floor(r / tile.width) * stride * rowPitch + (r % tile.width) * stride * pixelPitch,
    };
    const step = b.mul(b.add(b.mul(ky, kernelWidth), kx), groupInputs);
    const right = {
      buffer: this.#packed,
      base: b.add(panel.base, b.mul(step, panel.vectors * b.lanes)),
    };
    accumulate(b, accumulators, left, right, depth, unroll, this.#ahead(tile, panel, span, step));
  }

  /** The weights of the next span, of which each tile asks for its part, beginning with product `step`. */
  #ahead(tile: TilePlace, { vectors }: PanelPlace, span: Span, step: Value): Ahead | undefined {
    const b = this.#b;
    const { panelsAhead, bandRows, bandColumns, tileHeight, tileWidth } = this.#config;
    const across = Math.ceil(bandColumns / tileWidth);
    const tiles = across * Math.ceil(bandRows / tileHeight);
    if (panelsAhead === 0 || tiles === 1) return undefined;
    const width = vectors * b.lanes;
    const perStep = Math.ceil(width / tiles);
    const number = b.add(b.mul(b.div(tile.row, tileHeight), across), b.div(tile.column, tileWidth));
    const part = b.min(b.mul(number, perStep), width - perStep);
    const next = b.min(span.next, panelFloats(this.#plan.panels) - span.depth * width);
    const at = b.add(b.mul(part, span.depth), b.mul(b.sub(step, span.start), perStep));
    return { buffer: this.#packed, base: b.add(next, at), perStep };
  }

  /** Stores a tile, after the epilogue. */
  #finish(tile: TilePlace, panel: PanelPlace, sum: (r: number, v: number) => Value): void {
    const b = this.#b;
    const { epilogue, outputPitch } = this.#problem;
    const { bandRows, bandColumns } = this.#config;
    const { outHeight, outWidth, panels } = this.#plan;
    const layout = epilogueLayout(epilogue, outputPitch, panelFloats(panels));
    const row = b.add(b.add(b.mul(this.#image, outHeight), b.mul(this.#rowBlock, bandRows)), tile.row);
    const column = b.add(b.mul(this.#columnBlock, bandColumns), tile.column);
    const at = b.add(b.mul(b.add(b.mul(row, outWidth), column), outputPitch), panel.channel);
    for (let v = 0; v < panel.vectors; v++) {
      const vectors = loadEpilogue(b, layout, this.#packed, b.add(panel.channel, v * b.lanes));
      for (let r = 0; r < tile.height * tile.width; r++) {
        const pixel = Math.floor(r / tile.width) * outWidth + (r % tile.width);
        const offset = pixel * outputPitch + v * b.lanes;
        const added = this.#residual && b.loadVec(this.#residual, at, offset);
        b.store(this.#y, at, applyEpilogue(b, epilogue, vectors, sum(r, v), added), offset);
      }
    }
  }

  /** Outputs of the task: fewer in the last block of an axis. */
  #rowsHere(): Value {
    return outputsHere(this.#b, this.#rowBlock, this.#config.bandRows, this.#plan.outHeight);
  }

  /** Covers the task's outputs with register tiles; those at the end of the last blocks are smaller. */
  #forEachTile(body: (tile: TilePlace) => void): void {
    const b = this.#b;
    const { tileHeight, tileWidth, bandColumns } = this.#config;
    const { outHeight, outWidth } = this.#plan;
    const rows = this.#rowsHere();
    const columns = outputsHere(b, this.#columnBlock, bandColumns, outWidth);
    const inRow = (row: Value, height: number): void => {
      forTiles(b, columns, tileWidth, outWidth, (column, width) => body({ row, column, height, width }));
    };
    forTiles(b, rows, tileHeight, outHeight, inRow);
  }
}

function outputsHere(b: KernelBuilder, block: Value, blockSize: number, size: number): Value {
  if (size % blockSize === 0) return b.i32(blockSize);
  return b.min(b.sub(size, b.mul(block, blockSize)), blockSize);
}

/**
 * Cuts `here` outputs of a block into tiles. Blocks are multiples of the tile except for the last block, or for
 * the only one, so that the length of the last tile is a constant.
 */
function forTiles(
  b: KernelBuilder,
  here: Value,
  tile: number,
  size: number,
  body: (start: Value, length: number) => void,
): void {
  b.for(0, b.sub(here, tile - 1), tile, (start) => body(start, tile));
  const last = size % tile;
  if (last === 0) return;
  const rest = b.rem(here, tile);
  b.if(b.ne(rest, 0), () => body(b.sub(here, rest), last));
}
