import { KernelBuilder } from '../codegen/builder.ts';
import type { Variable } from '../codegen/builder.ts';
import type { Buffer, Kernel, Value } from '../codegen/ir.ts';
import type { DeviceCaps } from '../core/caps.ts';
import { applyEpilogue, epilogueLayout, loadEpilogue, packEpilogue } from './epilogue.ts';
import { kernelName } from './family.ts';
import type { Config, Emission, KernelFamily } from './family.ts';
import { outputMap } from './problem.ts';
import type { DepthwiseProblem } from './problem.ts';
import { evenly } from './divide.ts';
import { multiplyAddCycles } from './rates.ts';
import { forRowTiles } from './row-tiles.ts';
import type { RowTile } from './row-tiles.ts';
import { meetingPairs, meetings } from './taps.ts';

/** Outputs of a register tile, and the order of loops around and inside it. */
export interface DepthwiseDirectConfig extends Config {
  readonly lanes: number;
  /** Neighbouring outputs of a row that are summed in registers. */
  readonly tile: number;
  /** `tap`: every tap visits the tile. `position`: every pixel is loaded once and visits its taps, all unrolled. */
  readonly order: 'tap' | 'position';
  /** Whether one task computes all channels of its rows, or only one vector of them. */
  readonly allChannels: boolean;
  /** Output rows of a task. */
  readonly rows: number;
}

/**
 * Depthwise convolution as the sum it is: for small kernels, strides and odd shapes.
 *
 * A vector holds neighbouring channels; a register tile neighbouring outputs of one row. Tiles whose windows
 * stick out of the map are emitted one by one with just the taps that meet pixels; the others share a loop.
 */
export const depthwiseDirect: KernelFamily<DepthwiseProblem, DepthwiseDirectConfig> = {
  name: 'depthwise-direct',
  op: 'depthwise',
  configs,
  estimate,
  emit,
};

/** Kernels wider than this are not unrolled. */
const MAX_UNROLLED_WIDTH = 13;

function configs(problem: DepthwiseProblem, caps: DeviceCaps): DepthwiseDirectConfig[] {
  const out = outputMap(problem);
  const found: DepthwiseDirectConfig[] = [];
  for (const lanes of caps.lanes.filter((l) => problem.pitch % l === 0)) {
    for (const order of ['tap', 'position'] as const) {
      if (order === 'position' && problem.kernelWidth > MAX_UNROLLED_WIDTH) continue;
      const allChannels = problem.kernelHeight * problem.kernelWidth <= 25;
      const tile = tileWidth(out.width, caps.vectorRegisters, order === 'position' ? problem.kernelWidth : 1);
      const tasks = problem.batch * (allChannels ? 1 : problem.pitch / lanes);
      const rowTasks = Math.max(1, Math.ceil((4 * caps.threads) / tasks));
      found.push({ lanes, tile, order, allChannels, rows: Math.ceil(out.height / rowTasks) });
    }
  }
  return found.sort((a, b) => estimate(problem, a, caps) - estimate(problem, b, caps));
}

/** The widest tile whose accumulators, weights and a pixel fit the registers, with little waste at the row's end. */
function tileWidth(width: number, registers: number, weights: number): number {
  const room = Math.max(4, Math.min(registers - weights - 2, 16));
  return evenly(width, room);
}

function estimate(problem: DepthwiseProblem, config: DepthwiseDirectConfig, caps: DeviceCaps): number {
  const out = outputMap(problem);
  const { vertical, horizontal } = meetingPairs(problem);
  const vectors = problem.batch * (problem.pitch / config.lanes);
  const cycles = multiplyAddCycles(config.lanes, caps) * (caps.fma ? 1.2 : 2.6);
  const loads = config.order === 'tap' ? 1.1 : 1;
  const memory = problem.height * problem.width * 6;
  return vectors * (vertical * horizontal * cycles * loads + out.height * out.width * 4 * cycles + memory);
}

function emit(problem: DepthwiseProblem, config: DepthwiseDirectConfig): Emission {
  const { channels, pitch, kernelHeight, kernelWidth, epilogue } = problem;
  const taps = kernelHeight * kernelWidth;
  const layout = epilogueLayout(epilogue, pitch, pitch * taps);
  const suffix = kernelName(
    `${problem.height}x${problem.width}x${channels}`,
    `k${kernelHeight}x${kernelWidth}`,
    `s${problem.stride}`,
    `${config.order}${config.tile}`,
    `l${config.lanes}`,
  );
  return {
    main: [new DirectEmitter(problem, config, `depthwise_direct_${suffix}`).emit()],
    prepare: [emitPack(problem, config.lanes, suffix), ...packEpilogue(epilogue, layout, channels)],
    packedFloats: pitch * taps + layout.floats,
    tempFloats: 0,
  };
}

/** weight [C][tap] → packed [block][tap][lane], taps in reverse for an adjoint. */
function emitPack(problem: DepthwiseProblem, lanes: number, suffix: string): Kernel {
  const taps = problem.kernelHeight * problem.kernelWidth;
  const b = new KernelBuilder({
    name: kernelName(problem.adjoint ? 'depthwise_pack_adjoint' : 'depthwise_pack', suffix),
    description: `depthwise weights [${problem.channels}, ${taps}] to [block, tap, lane]`,
    lanes,
    tasks: Math.ceil(problem.channels / lanes),
  });
  const weight = b.input('weight');
  const packed = b.output('packed');
  const first = b.mul(b.task, lanes);
  const count = b.min(b.sub(problem.channels, first), lanes);
  b.for(0, count, 1, (lane) => {
    const from = b.mul(b.add(first, lane), taps);
    const to = b.add(b.mul(first, taps), lane);
    b.for(0, taps, 1, (tap) => {
      const source = problem.adjoint ? b.sub(b.add(from, taps - 1), tap) : b.add(from, tap);
      b.store(packed, b.add(to, b.mul(tap, lanes)), b.loadScalar(weight, source));
    });
  });
  return b.build();
}

class DirectEmitter {
  readonly #problem: DepthwiseProblem;
  readonly #config: DepthwiseDirectConfig;
  readonly #b: KernelBuilder;
  readonly #x: Buffer;
  readonly #packed: Buffer;
  readonly #residual: Buffer | undefined;
  readonly #y: Buffer;

  constructor(problem: DepthwiseProblem, config: DepthwiseDirectConfig, name: string) {
    const { batch, pitch, kernelHeight, kernelWidth } = problem;
    this.#problem = problem;
    this.#config = config;
    const blocks = config.allChannels ? 1 : pitch / config.lanes;
    this.#b = new KernelBuilder({
      name,
      description:
        `depthwise ${kernelHeight}×${kernelWidth}/${problem.stride} on ${problem.height}×${problem.width}×` +
        `${problem.channels}, ${config.tile} outputs in registers, ${config.order} order`,
      lanes: config.lanes,
      tasks: blocks * batch * Math.ceil(outputMap(problem).height / config.rows),
    });
    this.#x = this.#b.input('x');
    this.#packed = this.#b.input('packed');
    this.#residual = problem.epilogue.residual ? this.#b.input('residual') : undefined;
    this.#y = this.#b.output('y');
  }

  emit(): Kernel {
    const b = this.#b;
    const { batch, pitch } = this.#problem;
    const { lanes, rows, allChannels } = this.#config;
    const out = outputMap(this.#problem);
    const rowTasks = Math.ceil(out.height / rows);
    const rowTask = b.rem(b.task, rowTasks);
    const image = b.rem(b.div(b.task, rowTasks), batch);
    const firstRow = b.mul(rowTask, rows);
    const endRow = b.min(b.add(firstRow, rows), out.height);
    b.for(firstRow, endRow, 1, (row) => {
      const taps = { first: 0, count: this.#problem.kernelWidth };
      forRowTiles(b, this.#problem, this.#config.tile, taps, (tile) => {
        // Channels innermost: neighbours in memory follow each other, which prefetchers like.
        if (allChannels) b.for(0, pitch, lanes, (channel) => this.#emitTile(image, row, channel, tile));
        else this.#emitTile(image, row, b.mul(b.div(b.task, rowTasks * batch), lanes), tile);
      });
    });
    return b.build();
  }

  #emitTile(image: Value, row: Value, channel: Value, tile: RowTile): void {
    const b = this.#b;
    const { height, width, pitch, stride, kernelHeight, kernelWidth, dilation, padding, epilogue } =
      this.#problem;
    const { lanes, order } = this.#config;
    const out = outputMap(this.#problem);
    const accumulators = Array.from({ length: tile.width }, () => b.variable(b.vec(0), 'acc'));

    // Kernel rows that meet pixel rows: 0 ≤ start + k·dilation < height, in arithmetic without negatives.
    const start = b.sub(b.mul(row, stride), padding.top);
    const first = b.div(b.add(b.max(b.sub(0, start), 0), dilation - 1), dilation);
    const end = b.min(b.div(b.max(b.add(b.sub(height - 1, start), dilation), 0), dilation), kernelHeight);
    b.for(first, end, 1, (ky) => {
      const inputRow = b.add(b.mul(image, height), b.add(start, b.mul(ky, dilation)));
      const rowBase = b.add(b.mul(inputRow, width * pitch), channel);
      const weights = b.add(b.mul(channel, kernelHeight * kernelWidth), b.mul(ky, kernelWidth * lanes));
      if (order === 'tap') this.#sumByTap(accumulators, tile, rowBase, weights);
      else this.#sumByPosition(accumulators, tile, rowBase, weights);
    });

    const layout = epilogueLayout(epilogue, pitch, pitch * kernelHeight * kernelWidth);
    const vectors = loadEpilogue(b, layout, this.#packed, channel);
    const outRow = b.add(b.mul(image, out.height), row);
    const outPixel = b.add(b.mul(outRow, out.width), tile.first);
    const to = b.add(b.mul(outPixel, pitch), channel);
    accumulators.forEach((accumulator, i) => {
      const added = this.#residual && b.loadVec(this.#residual, to, i * pitch);
      b.store(this.#y, to, applyEpilogue(b, epilogue, vectors, accumulator.get(), added), i * pitch);
    });
  }

  /** The index of column `first · stride − padding`, from which taps count. */
  #windowBase(tile: RowTile, rowBase: Value): Value {
    const b = this.#b;
    const { stride, padding, pitch } = this.#problem;
    return b.add(rowBase, b.mul(b.sub(b.mul(tile.first, stride), padding.left), pitch));
  }

  #sumByTap(accumulators: readonly Variable[], tile: RowTile, rowBase: Value, weights: Value): void {
    const b = this.#b;
    const { kernelWidth, stride, dilation, pitch } = this.#problem;
    const { lanes } = this.#config;
    const base = this.#windowBase(tile, rowBase);
    const all = (kx: number): boolean => accumulators.every((_, i) => tile.meets(i, kx));
    const taps = Array.from({ length: kernelWidth }, (_, kx) => kx);
    const firstFull = taps.find(all) ?? 0;
    const endFull = firstFull + taps.filter(all).length;
    const sum = (kx: Value | number, meets: (i: number) => boolean): void => {
      const constant = typeof kx === 'number' ? kx : 0;
      const running = typeof kx === 'number' ? b.i32(0) : kx;
      const w = b.loadVec(this.#packed, b.add(weights, b.mul(running, lanes)), constant * lanes);
      const from = b.add(base, b.mul(running, dilation * pitch));
      accumulators.forEach((accumulator, i) => {
        if (!meets(i)) return;
        const pixel = b.loadVec(this.#x, from, (i * stride + constant * dilation) * pitch);
        accumulator.set(b.fma(w, pixel, accumulator.get()));
      });
    };
    for (const kx of taps) {
      const isRagged = kx < firstFull || kx >= endFull;
      if (isRagged && accumulators.some((_, i) => tile.meets(i, kx))) sum(kx, (i) => tile.meets(i, kx));
    }
    b.for(firstFull, endFull, 1, (kx) => sum(kx, () => true));
  }

  #sumByPosition(accumulators: readonly Variable[], tile: RowTile, rowBase: Value, weights: Value): void {
    const b = this.#b;
    const { kernelWidth, stride, dilation, pitch } = this.#problem;
    const { lanes } = this.#config;
    const base = this.#windowBase(tile, rowBase);
    const taps = Array.from({ length: kernelWidth }, (_, kx) => b.loadVec(this.#packed, weights, kx * lanes));
    const found = meetings(accumulators.length, kernelWidth, stride, dilation, tile.meets);
    for (const { position, pairs } of found) {
      const pixel = b.loadVec(this.#x, base, position * pitch);
      for (const { output, tap: kx } of pairs) {
        const accumulator = accumulators[output];
        const tap = taps[kx];
        if (accumulator && tap) accumulator.set(b.fma(tap, pixel, accumulator.get()));
      }
    }
  }
}
