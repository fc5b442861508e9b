import { KernelBuilder } from '../codegen/builder.ts';
import type { Variable } from '../codegen/builder.ts';
import type { Buffer, Kernel, Value } from '../codegen/ir.ts';
import { applyEpilogue, epilogueLayout, loadEpilogue, packEpilogue } from './epilogue.ts';
import type { EpilogueLayout } from './epilogue.ts';
import { kernelName } from './family.ts';
import type { Emission, KernelFamily } from './family.ts';
import type { DepthwiseProblem } from './problem.ts';
import { sparseConfigs, sparseEstimate } from './sparse/search.ts';
import { planSparse } from './sparse/plan.ts';
import type { DepthwiseSparseConfig, SparsePlan } from './sparse/plan.ts';
import { emitTapLists, tapLists } from './sparse/tap-lists.ts';
import type { TapLists } from './sparse/tap-lists.ts';
import { transpose } from './transpose.ts';

export type { DepthwiseSparseConfig } from './sparse/plan.ts';

/**
 * Depthwise convolution whose zero taps cost nothing, whatever their pattern: each channel has its own list of taps.
 *
 * A vector holds neighbouring pixels of one channel, so that a tap is one broadcast for a register tile of several lines.
 * A task takes as many channels as a vector has lanes: it transposes their pixels into planes in scratch memory, with
 * zeros around, sums channel by channel, and transposes back.
 */
export const depthwiseSparse: KernelFamily<DepthwiseProblem, DepthwiseSparseConfig> = {
  name: 'depthwise-sparse',
  op: 'depthwise',
  configs: sparseConfigs,
  estimate: sparseEstimate,
  emit,
};

function emit(problem: DepthwiseProblem, config: DepthwiseSparseConfig): Emission {
  const { channels, pitch, kernelHeight, kernelWidth, epilogue } = problem;
  const plan = planSparse(problem, config);
  const lists = tapLists(plan, config);
  const layout = epilogueLayout(epilogue, pitch, pitch * lists.channelFloats);
  const suffix = kernelName(
    `${problem.height}x${problem.width}x${channels}`,
    `k${kernelHeight}x${kernelWidth}`,
    `${config.along}${config.tileLines}x${config.tileVectors}`,
    ...(config.aligned ? ['aligned'] : []),
    `l${config.lanes}`,
  );
  const name = `depthwise_sparse_${suffix}`;
  return {
    main: [new SparseEmitter(problem, config, plan, lists, layout, name).emit()],
    prepare: [emitTapLists(problem, config, plan, suffix), ...packEpilogue(epilogue, layout, channels)],
    packedFloats: pitch * lists.channelFloats + layout.floats,
    tempFloats: 0,
  };
}

/** Where a task works. */
interface Place {
  readonly image: Value;
  /** The first channel of its vector of channels. */
  readonly channel: Value;
  /** Its first output line. */
  readonly firstLine: Value;
  /** The first input line that its planes hold, behind the margin. */
  readonly inputLine: Value;
}

class SparseEmitter {
  readonly #b: KernelBuilder;
  readonly #x: Buffer;
  readonly #packed: Buffer;
  readonly #residual: Buffer | undefined;
  readonly #y: Buffer;
  readonly #planes: Buffer;
  readonly #sums: Buffer;
  readonly #copy: Buffer;

  constructor(
    readonly problem: DepthwiseProblem,
    readonly config: DepthwiseSparseConfig,
    readonly plan: SparsePlan,
    readonly lists: TapLists,
    readonly layout: EpilogueLayout,
    name: string,
  ) {
    const { lanes, tileLines, tileVectors, along, aligned } = config;
    const { kernelHeight, kernelWidth, height, width, channels, batch, pitch } = problem;
    this.#b = new KernelBuilder({
      name,
      description:
        `sparse depthwise ${kernelHeight}×${kernelWidth} on ${height}×${width}×${channels}, vectors along the ` +
        `${along}, ${tileLines}×${tileVectors} of them in registers${aligned ? ', aligned' : ''}`,
      lanes,
      tasks: (pitch / lanes) * batch * plan.bands,
    });
    this.#x = this.#b.input('x');
    this.#packed = this.#b.input('packed');
    this.#residual = problem.epilogue.residual ? this.#b.input('residual') : undefined;
    this.#y = this.#b.output('y');
    this.#planes = this.#b.scratch('planes', lanes * plan.inputPlane);
    this.#sums = this.#b.scratch('sums', lanes * plan.sumPlane);
    this.#copy = aligned
      ? this.#b.scratch('copy', (plan.inputLines + 2 * plan.margin) * plan.tapPitch)
      : this.#planes;
  }

  emit(): Kernel {
    const b = this.#b;
    const { lanes, band, aligned } = this.config;
    const { bands, lines } = this.plan;
    const firstLine = b.mul(b.rem(b.task, bands), band);
    const place: Place = {
      image: b.rem(b.div(b.task, bands), this.problem.batch),
      channel: b.mul(b.div(b.task, bands * this.problem.batch), lanes),
      firstLine,
      inputLine: b.max(b.sub(firstLine, lines.before), 0),
    };
    this.#clear();
    this.#gather(place);
    b.for(0, lanes, 1, (lane) => {
      const list = b.mul(b.add(place.channel, lane), this.lists.channelFloats);
      if (aligned) this.#sumAligned(place, lane, list);
      else this.#sumTiles(place, lane, list, b.mul(lane, this.plan.inputPlane), 'zero');
    });
    this.#scatter(place);
    return b.build();
  }

  /** Zeros around what {@link #gather} writes, in all planes; it may overwrite some. */
  #clear(): void {
    const b = this.#b;
    const { lanes } = this.config;
    const { along, linePitch, margin, inputPlane, inputLines } = this.plan;
    const zero = b.vec(0);
    const end = along.before + Math.ceil(along.size / lanes) * lanes;
    const clear = (line: Value): void => {
      for (let at = 0; at < along.before; at += lanes) b.store(this.#planes, line, zero, at);
      for (let at = linePitch; at > end; at -= lanes) b.store(this.#planes, line, zero, at - lanes);
    };
    b.for(0, lanes, 1, (lane) => {
      const plane = b.mul(lane, inputPlane);
      // Lines beyond the band's input are never read, except as the margin.
      b.for(margin, margin + inputLines, 1, (line) => clear(b.add(plane, b.mul(line, linePitch))));
    });
  }

  /** The input lines of the band, NHWC → planes; beyond the map the margin's zeros. */
  #gather({ image, channel, inputLine }: Place): void {
    const b = this.#b;
    const { lanes } = this.config;
    const { along, lines, linePitch, margin, inputPlane, inputLines } = this.plan;
    const pixels = this.problem.height * this.problem.width * this.problem.pitch;
    const base = b.add(b.mul(image, pixels), channel);
    const zero = b.vec(0);
    const clearLine = (line: Value): void => {
      for (let lane = 0; lane < lanes; lane++) {
        const start = b.add(b.mul(line, linePitch), lane * inputPlane);
        b.for(0, linePitch - lanes, lanes, (at) => b.store(this.#planes, b.add(start, at), zero));
        b.store(this.#planes, start, zero, linePitch - lanes);
      }
    };
    const tile = (line: Value, from: Value, at: Value | number, count: number): void => {
      const rows = Array.from({ length: lanes }, (_, i) =>
        i < count ? b.loadVec(this.#x, from, i * along.inputStride) : zero,
      );
      const to = b.add(b.mul(line, linePitch), b.add(at, along.before));
      transpose(b, rows).forEach((row, lane) => b.store(this.#planes, to, row, lane * inputPlane));
    };
    const full = Math.floor(along.size / lanes) * lanes;
    const fill = (line: Value, source: Value): void => {
      const from = b.add(base, b.mul(source, lines.inputStride));
      b.for(0, full, lanes, (at) => tile(line, b.add(from, b.mul(at, along.inputStride)), at, lanes));
      if (full < along.size) tile(line, b.add(from, full * along.inputStride), full, along.size - full);
    };
    b.for(0, margin, 1, clearLine);
    // A band may lie wholly in the padding behind the map.
    const count = b.max(b.min(b.sub(lines.size, inputLine), inputLines), 0);
    b.for(0, count, 1, (line) => fill(b.add(line, margin), b.add(line, inputLine)));
    b.for(b.add(count, margin), b.add(count, 2 * margin), 1, clearLine);
  }

  /** Taps of one shift after the other, each on a copy of the plane that is shifted by it. */
  #sumAligned(place: Place, lane: Value, list: Value): void {
    const b = this.#b;
    const { lanes } = this.config;
    const { along, vectors, linePitch, margin, inputPlane, inputLines, sumPlane, tapPitch } = this.plan;
    const sums = b.mul(lane, sumPlane);
    b.for(0, sumPlane, lanes, (at) => b.store(this.#sums, b.add(sums, at), b.vec(0)));
    b.for(0, along.taps, 1, (tap) => {
      const table = b.add(list, b.mul(tap, this.lists.tableFloats));
      const shifted = b.add(b.mul(lane, inputPlane), b.mul(tap, this.problem.dilation));
      b.for(0, inputLines + 2 * margin, 1, (line) => {
        const from = b.add(shifted, b.mul(line, linePitch));
        const to = b.mul(line, tapPitch);
        for (let v = 0; v < vectors; v++) {
          b.store(this.#copy, to, b.loadVec(this.#planes, from, v * lanes), v * lanes);
        }
      });
      this.#sumTiles(place, lane, list, b.i32(0), 'sums', table);
    });
  }

  /** All register tiles of a channel: sums over the taps in the lists. */
  #sumTiles(
    place: Place,
    lane: Value,
    list: Value,
    plane: Value,
    start: 'zero' | 'sums',
    table: Value = list,
  ): void {
    const b = this.#b;
    const { lanes, band, tileLines, tileVectors } = this.config;
    const { lines, vectors, tapPitch, margin, sumPlane } = this.plan;
    const { dilation } = this.problem;
    b.for(0, band, tileLines, (line) => {
      const outputLine = b.add(place.firstLine, line);
      // Lines of taps that meet the map with any line of the tile, in arithmetic without negatives.
      const above = b.max(b.sub(lines.before - tileLines + 1, outputLine), 0);
      const first = b.div(b.add(above, dilation - 1), dilation);
      const below = b.max(b.sub(lines.size - 1 + lines.before + dilation, outputLine), 0);
      const end = b.max(b.min(b.div(below, dilation), lines.taps), first);
      const entry = (at: Value): Value =>
        b.toI32(b.loadScalar(this.#packed, b.add(table, b.min(at, lines.taps))));
      const [from, to] = [entry(first), entry(end)];
      const top = b.sub(b.add(b.sub(outputLine, place.inputLine), margin), lines.before);
      const tileBase = b.add(plane, b.mul(top, tapPitch));
      const sums = b.add(b.mul(lane, sumPlane), b.mul(line, vectors * lanes));
      b.for(0, vectors, tileVectors, (vector) => {
        const across = b.mul(vector, lanes);
        this.#sumTile(b.add(tileBase, across), b.add(sums, across), list, [from, to], start);
      });
    });
  }

  #sumTile(
    base: Value,
    sums: Value,
    list: Value,
    [from, to]: readonly [Value, Value],
    start: 'zero' | 'sums',
  ): void {
    const b = this.#b;
    const { lanes, tileLines, tileVectors } = this.config;
    const { vectors, tapPitch } = this.plan;
    const tile = Array.from({ length: tileLines * tileVectors }, (_, i) => ({
      line: Math.floor(i / tileVectors),
      vector: i % tileVectors,
    }));
    const sumAt = ({ line, vector }: (typeof tile)[number]): number => (line * vectors + vector) * lanes;
    const accumulators: Variable[] = tile.map((place) =>
      b.variable(start === 'zero' ? b.vec(0) : b.loadVec(this.#sums, sums, sumAt(place)), 'acc'),
    );
    const entries = b.add(list, this.lists.listOffset);
    b.for(from, to, 1, (tap) => {
      const entry = b.add(entries, b.mul(tap, 2));
      const pixel = b.add(base, b.toI32(b.loadScalar(this.#packed, entry)));
      const weight = b.loadBroadcast(this.#packed, entry, 1);
      tile.forEach(({ line, vector }, i) => {
        const x = b.loadVec(this.#copy, pixel, line * tapPitch + vector * lanes);
        const accumulator = accumulators[i];
        accumulator?.set(b.fma(weight, x, accumulator.get()));
      });
    });
    tile.forEach((place, i) => {
      const accumulator = accumulators[i];
      if (accumulator) b.store(this.#sums, sums, accumulator.get(), sumAt(place));
    });
  }

  /** Planes of sums → NHWC, through the epilogue. */
  #scatter({ image, channel, firstLine }: Place): void {
    const b = this.#b;
    const { lanes, band } = this.config;
    const { along, lines, vectors, sumPlane } = this.plan;
    const { epilogue } = this.problem;
    const constants = loadEpilogue(b, this.layout, this.#packed, channel);
    const outputs = along.outputs * lines.outputs * this.problem.pitch;
    const base = b.add(b.mul(image, outputs), channel);
    const tile = (from: Value, to: Value, count: number): void => {
      const rows = Array.from({ length: lanes }, (_, lane) => b.loadVec(this.#sums, from, lane * sumPlane));
      transpose(b, rows)
        .slice(0, count)
        .forEach((sum, i) => {
          const added = this.#residual && b.loadVec(this.#residual, to, i * along.outputStride);
          b.store(this.#y, to, applyEpilogue(b, epilogue, constants, sum, added), i * along.outputStride);
        });
    };
    const full = Math.floor(along.outputs / lanes) * lanes;
    b.for(0, b.min(b.sub(lines.outputs, firstLine), band), 1, (line) => {
      const from = b.mul(line, vectors * lanes);
      const to = b.add(base, b.mul(b.add(firstLine, line), lines.outputStride));
      b.for(0, full, lanes, (at) => tile(b.add(from, at), b.add(to, b.mul(at, along.outputStride)), lanes));
      if (full < along.outputs) {
        tile(b.add(from, full), b.add(to, full * along.outputStride), along.outputs - full);
      }
    });
  }
}
