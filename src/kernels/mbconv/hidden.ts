import type { KernelBuilder } from '../../codegen/builder.ts';
import type { Buffer, Value } from '../../codegen/ir.ts';
import { panelStride } from '../gemm/panels.ts';
import { accumulate, newTile } from '../gemm/tile.ts';
import { groupBroadcast } from '../group-broadcast.ts';
import type { GroupBroadcast } from '../group-broadcast.ts';
import { activate } from '../math.ts';
import type { MBConvProblem } from '../problem.ts';
import { meetings } from '../taps.ts';
import type { MBConvConfig, MBConvPlan } from './plan.ts';

/** One image's hidden map, before it is gated. */
export interface HiddenStage {
  readonly x: Buffer;
  readonly packed: Buffer;
  readonly image: Value;
  /** Pixel p of the result is at `mapAt + p · mapStride`. */
  readonly map: Buffer;
  readonly mapAt: Value;
  /** Where sums over pixels go; absent if nobody needs them. */
  readonly sums: { readonly buffer: Buffer; readonly at: Value } | undefined;
}

/**
 * Emits expansion and spatial convolution for some chunks of hidden channels. A chunk goes over the map band by band: the
 * band's rows that are not there yet are expanded into scratch memory, with zeros around the map, then convolved.
 */
export function emitHidden(
  b: KernelBuilder,
  problem: MBConvProblem,
  config: MBConvConfig,
  plan: MBConvPlan,
  stage: HiddenStage,
  chunks: { readonly first: Value; readonly end: Value },
): void {
  const { bandHeight, bandWidth, chunkFloats, fullChunks, lastVectors } = plan;
  const band = b.scratch('band', bandHeight * bandWidth * chunkFloats);
  const loadInput = plan.depthwise ? undefined : groupBroadcast(b, problem.hidden / problem.groups);
  const emit = (chunk: Value, vectors: number): void =>
    new ChunkEmitter(b, problem, config, plan, { ...stage, band, loadInput }, chunk, vectors).emit();
  b.for(chunks.first, b.min(chunks.end, fullChunks), 1, (chunk) => emit(chunk, config.upVectors));
  if (lastVectors > 0) b.if(b.lt(fullChunks, chunks.end), () => emit(b.i32(fullChunks), lastVectors));
}

/** What chunks have in common. */
interface ChunkStage extends HiddenStage {
  readonly band: Buffer;
  /** Absent where every channel is a group. */
  readonly loadInput: GroupBroadcast | undefined;
}

/** One chunk of `vectors` vectors of hidden channels. */
class ChunkEmitter {
  readonly #b: KernelBuilder;
  readonly #problem: MBConvProblem;
  readonly #config: MBConvConfig;
  readonly #plan: MBConvPlan;
  readonly #stage: ChunkStage;
  readonly #chunk: Value;
  readonly #vectors: number;
  /** Of the chunk. */
  readonly #firstChannel: Value;

  constructor(
    b: KernelBuilder,
    problem: MBConvProblem,
    config: MBConvConfig,
    plan: MBConvPlan,
    stage: ChunkStage,
    chunk: Value,
    vectors: number,
  ) {
    this.#b = b;
    this.#problem = problem;
    this.#config = config;
    this.#plan = plan;
    this.#stage = stage;
    this.#chunk = chunk;
    this.#vectors = vectors;
    this.#firstChannel = b.mul(chunk, plan.chunkFloats);
  }

  emit(): void {
    const b = this.#b;
    const { height, stride, padding } = this.#problem;
    const { bandHeight, sharedRows, outHeight } = this.#plan;
    const bandRows = Math.min(this.#config.bandRows, outHeight);
    this.#zeroMargins();
    this.#zeroSums();
    b.for(0, outHeight, bandRows, (firstOutput) => {
      const isFirst = b.eq(firstOutput, 0);
      const rows = b.min(b.sub(outHeight, firstOutput), bandRows);
      if (bandRows < outHeight && sharedRows > 0) b.if(b.ne(firstOutput, 0), () => this.#keepSharedRows());
      const start = b.select(isFirst, b.i32(0), b.i32(sharedRows));
      const end = bandRows < outHeight ? b.add(b.mul(rows, stride), sharedRows) : b.i32(bandHeight);
      const top = b.sub(b.mul(firstOutput, stride), padding.top);
      b.for(start, end, 1, (row) => {
        const inputRow = b.add(top, row);
        const inside = b.and(b.le(0, inputRow), b.lt(inputRow, height));
        b.if(
          inside,
          () => this.#fillRow(row, inputRow),
          () => this.#zeroRow(row),
        );
      });
      // Rows within vectors: what rows share then stays in the first-level cache.
      b.for(0, this.#vectors, 1, (vector) => {
        b.for(0, rows, 1, (row) => this.#convolveRow(row, b.add(firstOutput, row), vector));
      });
    });
  }

  /** Columns left and right of the map, which nothing else writes. */
  #zeroMargins(): void {
    const b = this.#b;
    const { width, padding } = this.#problem;
    const { bandHeight, bandWidth, chunkFloats } = this.#plan;
    const right = padding.left + width;
    if (padding.left === 0 && bandWidth <= right) return;
    b.for(0, bandHeight, 1, (row) => {
      const at = b.mul(row, bandWidth * chunkFloats);
      this.#zero(at, 0, padding.left * chunkFloats);
      this.#zero(at, right * chunkFloats, bandWidth * chunkFloats);
    });
  }

  #zeroRow(row: Value): void {
    const { width, padding } = this.#problem;
    const { bandWidth, chunkFloats } = this.#plan;
    const at = this.#b.mul(row, bandWidth * chunkFloats);
    this.#zero(at, padding.left * chunkFloats, (padding.left + width) * chunkFloats);
  }

  #zero(at: Value, from: number, to: number): void {
    const b = this.#b;
    const zero = b.vec(0);
    b.for(from, to, b.lanes, (i) => b.store(this.#stage.band, b.add(at, i), zero));
  }

  #zeroSums(): void {
    const b = this.#b;
    const { sums } = this.#stage;
    if (sums === undefined) return;
    const at = b.add(sums.at, this.#firstChannel);
    for (let v = 0; v < this.#vectors; v++) b.store(sums.buffer, at, b.vec(0), v * b.lanes);
  }

  /** The last rows of a band are the first ones of the next. */
  #keepSharedRows(): void {
    const b = this.#b;
    const { bandHeight, bandWidth, chunkFloats, sharedRows } = this.#plan;
    const rowFloats = bandWidth * chunkFloats;
    b.for(0, sharedRows * rowFloats, b.lanes, (i) => {
      b.store(this.#stage.band, i, b.loadVec(this.#stage.band, i, (bandHeight - sharedRows) * rowFloats));
    });
  }

  /** A row of the map: expanded, or copied. */
  #fillRow(row: Value, inputRow: Value): void {
    const b = this.#b;
    const { width, height, padding, inputPitch } = this.#problem;
    const { bandWidth, chunkFloats, layout } = this.#plan;
    const { x, image } = this.#stage;
    const to = b.mul(b.add(b.mul(row, bandWidth), padding.left), chunkFloats);
    const from = b.mul(b.add(b.mul(image, height), inputRow), width * inputPitch);
    if (layout.up === undefined) {
      b.for(0, width, 1, (column) => {
        const source = b.add(b.add(from, b.mul(column, inputPitch)), this.#firstChannel);
        const target = b.add(to, b.mul(column, chunkFloats));
        for (let v = 0; v < this.#vectors; v++)
          b.store(this.#stage.band, target, b.loadVec(x, source, v * b.lanes), v * b.lanes);
      });
      return;
    }
    const { upRows } = this.#config;
    const whole = width - (width % upRows);
    b.for(0, whole, upRows, (column) => this.#expand(from, to, column, upRows));
    if (whole < width) this.#expand(from, to, b.i32(whole), width - whole);
  }

  #expand(from: Value, to: Value, column: Value, pixels: number): void {
    const b = this.#b;
    const { inputPitch, expand } = this.#problem;
    const { chunkFloats, layout } = this.#plan;
    const { x, packed } = this.#stage;
    const { up } = layout;
    if (up === undefined || expand === undefined) return;
    const { bias } = up;
    const tile = newTile(b, pixels, this.#vectors, (_, v) =>
      bias === undefined ? b.vec(0) : b.loadVec(packed, this.#firstChannel, bias + v * b.lanes),
    );
    const left = {
      buffer: x,
      base: b.add(from, b.mul(column, inputPitch)),
      rowOffset: (r: number) => r * inputPitch,
    };
    const right = { buffer: packed, base: b.add(b.mul(this.#chunk, panelStride(up.panels)), up.offset) };
    accumulate(b, tile, left, right, up.panels.depth, this.#config.unroll);
    const target = b.add(to, b.mul(column, chunkFloats));
    tile.forEach((row, r) => {
      row.forEach((sum, v) => {
        const value = activate(b, expand.activation, sum.get());
        b.store(this.#stage.band, target, value, r * chunkFloats + v * b.lanes);
      });
    });
  }

  /** One vector of a row of outputs. */
  #convolveRow(bandRow: Value, outputRow: Value, vector: Value): void {
    const b = this.#b;
    const { outWidth } = this.#plan;
    const { pixels } = this.#config;
    const whole = outWidth - (outWidth % pixels);
    b.for(0, whole, pixels, (column) => this.#convolve(bandRow, outputRow, column, pixels, vector));
    if (whole < outWidth) this.#convolve(bandRow, outputRow, b.i32(whole), outWidth - whole, vector);
  }

  #convolve(bandRow: Value, outputRow: Value, column: Value, pixels: number, vector: Value): void {
    const b = this.#b;
    const { stride, spatial } = this.#problem;
    const { bandWidth, chunkFloats, outWidth, mapStride, layout } = this.#plan;
    const { packed, map, mapAt, sums } = this.#stage;
    const { bias } = layout.spatial;
    const inChunk = b.mul(vector, b.lanes);
    const channel = b.add(this.#firstChannel, inChunk);
    const accumulators = Array.from({ length: pixels }, () =>
      b.variable(bias === undefined ? b.vec(0) : b.loadVec(packed, channel, bias), 'acc'),
    );
    const corner = b.mul(b.add(b.mul(bandRow, stride * bandWidth), b.mul(column, stride)), chunkFloats);
    const { loadInput } = this.#stage;
    if (loadInput) this.#sumGrouped(accumulators, corner, inChunk, channel, loadInput);
    else this.#sumDepthwise(accumulators, b.add(corner, inChunk), channel);
    const values = accumulators.map((sum) => activate(b, spatial.activation, sum.get()));
    const pixel = b.add(b.mul(outputRow, outWidth), column);
    const to = b.add(b.add(mapAt, b.mul(pixel, mapStride)), channel);
    values.forEach((value, p) => b.store(map, to, value, p * mapStride));
    if (sums === undefined) return;
    const at = b.add(sums.at, channel);
    const total = values.reduce((sum, value) => b.add(sum, value), b.loadVec(sums.buffer, at));
    b.store(sums.buffer, at, total);
  }

  #sumDepthwise(accumulators: readonly Accumulator[], corner: Value, channel: Value): void {
    const b = this.#b;
    const { kernelHeight, kernelWidth } = this.#problem;
    const { bandWidth, chunkFloats, layout } = this.#plan;
    const weights = b.add(b.mul(channel, kernelHeight * kernelWidth), layout.spatial.offset);
    b.for(0, kernelHeight, 1, (ky) => {
      const taps = b.add(weights, b.mul(ky, kernelWidth * b.lanes));
      const from = b.add(corner, b.mul(ky, bandWidth * chunkFloats));
      this.#visit(
        accumulators,
        (kx) => b.loadVec(this.#stage.packed, taps, kx * b.lanes),
        (position) => b.loadVec(this.#stage.band, from, position * chunkFloats),
      );
    });
  }

  #sumGrouped(
    accumulators: readonly Accumulator[],
    corner: Value,
    inChunk: Value,
    channel: Value,
    loadInput: GroupBroadcast,
  ): void {
    const b = this.#b;
    const { kernelHeight, kernelWidth, hidden, groups } = this.#problem;
    const { bandWidth, chunkFloats, layout } = this.#plan;
    const width = hidden / groups;
    // Groups do not cross chunks, so that inputs begin where the group does.
    const inputs = b.add(corner, b.mul(b.div(inChunk, width), width));
    const weights = b.mul(channel, kernelHeight * kernelWidth * width);
    for (let ky = 0; ky < kernelHeight; ky++) {
      b.for(0, width, 1, (i) => {
        const taps = b.add(weights, b.mul(i, kernelWidth * b.lanes));
        const from = b.add(inputs, i);
        const offset = layout.spatial.offset + ky * width * kernelWidth * b.lanes;
        this.#visit(
          accumulators,
          (kx) => b.loadVec(this.#stage.packed, taps, offset + kx * b.lanes),
          (position) => loadInput(this.#stage.band, from, (ky * bandWidth + position) * chunkFloats),
        );
      });
    }
  }

  /** One row of taps: every input is loaded once and visits its taps. */
  #visit(
    accumulators: readonly Accumulator[],
    tapAt: (kx: number) => Value,
    inputAt: (position: number) => Value,
  ): void {
    const b = this.#b;
    const { kernelWidth, stride } = this.#problem;
    const taps = Array.from({ length: kernelWidth }, (_, kx) => tapAt(kx));
    for (const { position, pairs } of meetings(accumulators.length, kernelWidth, stride, 1)) {
      const input = inputAt(position);
      for (const { output, tap: kx } of pairs) {
        const sum = accumulators[output];
        const tap = taps[kx];
        if (sum && tap) sum.set(b.fma(input, tap, sum.get()));
      }
    }
  }
}

type Accumulator = ReturnType<KernelBuilder['variable']>;
