import { KernelBuilder } from '../codegen/builder.ts';
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
 * A vector holds pixels of one channel, so that a tap is one broadcast for a register tile of several lines. A task takes
 * the channels of a cache line: it transposes their pixels into scratch memory, sums channel by channel, and transposes
 * back.
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
  const lists = tapLists(plan);
  const layout = epilogueLayout(epilogue, pitch, pitch * lists.channelFloats);
  const suffix = kernelName(
    `${problem.height}x${problem.width}x${channels}`,
    `k${kernelHeight}x${kernelWidth}`,
    `${config.along}${config.tileLines}x${config.tileVectors}`,
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
  /** Its first channel. */
  readonly channel: Value;
  /** Its vectors of channels. */
  readonly vectors: Value;
  /** Its first output line. */
  readonly firstLine: Value;
  /** The first input line that it reads, and how many there are: none in the padding behind the map. */
  readonly inputLine: Value;
  readonly inputLines: Value;
}

class SparseEmitter {
  readonly #b: KernelBuilder;
  readonly #x: Buffer;
  readonly #packed: Buffer;
  readonly #residual: Buffer | undefined;
  readonly #y: Buffer;
  readonly #strands: Buffer;
  readonly #pixels: Buffer;
  readonly #sums: Buffer;

  constructor(
    readonly problem: DepthwiseProblem,
    readonly config: DepthwiseSparseConfig,
    readonly plan: SparsePlan,
    readonly lists: TapLists,
    readonly layout: EpilogueLayout,
    name: string,
  ) {
    const { lanes, tileLines, tileVectors, along, group } = config;
    const { kernelHeight, kernelWidth, height, width, channels, batch, pitch } = problem;
    this.#b = new KernelBuilder({
      name,
      description:
        `sparse depthwise ${kernelHeight}×${kernelWidth} on ${height}×${width}×${channels}, vectors along the ` +
        `${along}, ${tileLines}×${tileVectors} of them in registers`,
      lanes,
      tasks: Math.ceil(pitch / lanes / group) * batch * plan.bands,
    });
    this.#x = this.#b.input('x');
    this.#packed = this.#b.input('packed');
    this.#residual = problem.epilogue.residual ? this.#b.input('residual') : undefined;
    this.#y = this.#b.output('y');
    this.#strands = this.#b.scratch('strands', plan.strandFloats);
    this.#pixels = this.#b.scratch('pixels', plan.tapPlane);
    this.#sums = this.#b.scratch('sums', group * lanes * plan.sumPlane);
  }

  emit(): Kernel {
    const b = this.#b;
    const { batch, pitch } = this.problem;
    const { lanes, band, group } = this.config;
    const { bands, lines, strandPlane, sumPlane } = this.plan;
    const firstLine = b.mul(b.rem(b.task, bands), band);
    const channel = b.mul(b.div(b.task, bands * batch), group * lanes);
    const inputLine = b.max(b.sub(firstLine, lines.before), 0);
    const reach = band + (lines.taps - 1) * this.problem.dilation - lines.before;
    const inputEnd = b.min(b.add(firstLine, reach), lines.size);
    const place: Place = {
      image: b.rem(b.div(b.task, bands), batch),
      channel,
      vectors: b.min(b.div(b.sub(pitch, channel), lanes), group),
      firstLine,
      inputLine,
      inputLines: b.max(b.sub(inputEnd, inputLine), 0),
    };
    this.#clear(place);
    this.#gather(place);
    b.for(0, b.mul(place.vectors, lanes), 1, (each) => {
      this.#spread(place, b.mul(each, strandPlane));
      const list = b.mul(b.add(channel, each), this.lists.channelFloats);
      this.#sumTiles(place, list, b.mul(each, sumPlane));
    });
    this.#scatter(place);
    return b.build();
  }

  /** Zeros around what {@link #gather} and {@link #spread} write. */
  #clear({ vectors, inputLines }: Place): void {
    const b = this.#b;
    const { lanes } = this.config;
    const { spacing, strandStart, strandLanes, strandPitch, margin, tapPitch } = this.plan;
    const zero = b.vec(0);
    const perPlane = this.plan.inputLines * spacing;
    for (let at = 0; at < strandStart; at += lanes) b.store(this.#strands, at, zero);
    b.for(0, b.mul(vectors, lanes * perPlane), 1, (strand) => {
      const start = b.add(b.mul(strand, strandPitch), strandStart);
      for (let at = strandLanes; at < strandPitch; at += lanes) b.store(this.#strands, start, zero, at);
    });
    const above = margin * tapPitch;
    b.for(0, above, lanes, (at) => b.store(this.#pixels, at, zero));
    const below = b.add(b.mul(inputLines, tapPitch), above);
    b.for(0, above, lanes, (at) => b.store(this.#pixels, b.add(below, at), zero));
  }

  /** The input lines of the band, NHWC → strands. */
  #gather({ image, channel, vectors, inputLine, inputLines }: Place): void {
    const b = this.#b;
    const { lanes } = this.config;
    const { along, lines, spacing, strandPlane, strandPitch, strandStart } = this.plan;
    const pixels = this.problem.height * this.problem.width * this.problem.pitch;
    const base = b.add(b.mul(image, pixels), channel);
    const step = spacing * along.inputStride;
    const zero = b.vec(0);
    const tile = (from: Value, to: Value, at: Value | number, count: number): void => {
      const first = b.add(from, b.mul(at, step));
      const start = b.add(b.add(to, strandStart), at);
      // All vectors of a pixel while its cache line is near.
      b.for(0, vectors, 1, (vector) => {
        const pixel = b.add(first, b.mul(vector, lanes));
        const rows = Array.from({ length: lanes }, (_, i) =>
          i < count ? b.loadVec(this.#x, pixel, i * step) : zero,
        );
        const plane = b.add(start, b.mul(vector, lanes * strandPlane));
        transpose(b, rows).forEach((row, lane) => b.store(this.#strands, plane, row, lane * strandPlane));
      });
    };
    b.for(0, inputLines, 1, (line) => {
      const source = b.add(base, b.mul(b.add(line, inputLine), lines.inputStride));
      this.#eachStrand(along.size, (strand, length) => {
        const from = b.add(source, b.mul(strand, along.inputStride));
        const to = b.add(b.mul(line, spacing * strandPitch), b.mul(strand, strandPitch));
        const full = Math.floor(length / lanes) * lanes;
        b.for(0, full, lanes, (at) => tile(from, to, at, lanes));
        if (full < length) tile(from, to, full, length - full);
      });
    });
  }

  /** Visits the strands of a line of `size` pixels: the first ones may be longer by one. */
  #eachStrand(size: number, visit: (strand: Value, length: number) => void): void {
    const { spacing } = this.plan;
    const longer = size % spacing;
    const length = Math.floor(size / spacing);
    if (longer > 0) this.#b.for(0, longer, 1, (strand) => visit(strand, length + 1));
    if (length > 0) this.#b.for(longer, spacing, 1, (strand) => visit(strand, length));
  }

  /** Strands of a channel → the vectors that its taps meet: a strand for each lane it may start at. */
  #spread({ inputLines }: Place, strands: Value): void {
    const b = this.#b;
    const { lanes } = this.config;
    const { along, spacing, strandPitch, strandStart, margin, tapVectors, tapPitch } = this.plan;
    const end = tapVectors - along.before;
    b.for(0, inputLines, 1, (line) => {
      const from = b.add(strands, b.mul(line, spacing * strandPitch));
      const to = b.mul(b.add(line, margin), tapPitch);
      for (let shift = -strandStart; shift * spacing < end; shift++) {
        const first = Math.max(0, -along.before - shift * spacing);
        b.for(first, Math.min(spacing, end - shift * spacing), 1, (strand) => {
          const pixels = b.loadVec(
            this.#strands,
            b.add(from, b.mul(strand, strandPitch)),
            strandStart + shift,
          );
          b.store(
            this.#pixels,
            b.add(to, b.mul(strand, lanes)),
            pixels,
            (shift * spacing + along.before) * lanes,
          );
        });
      }
    });
  }

  /** All register tiles of a channel: sums over the taps in its list. */
  #sumTiles(place: Place, list: Value, sums: Value): void {
    const b = this.#b;
    const { lanes, band, tileLines, tileVectors } = this.config;
    const { lines, spacing, tapPitch, margin } = this.plan;
    const { dilation } = this.problem;
    b.for(0, band, tileLines, (line) => {
      const outputLine = b.add(place.firstLine, line);
      // Lines of taps that meet the map with any line of the tile, in arithmetic without negatives.
      const above = b.max(b.sub(lines.before - tileLines + 1, outputLine), 0);
      const first = b.div(b.add(above, dilation - 1), dilation);
      const below = b.max(b.sub(lines.size - 1 + lines.before + dilation, outputLine), 0);
      const end = b.max(b.min(b.div(below, dilation), lines.taps), first);
      const entry = (at: Value): Value =>
        b.asI32(b.loadScalar(this.#packed, b.add(list, b.min(at, lines.taps))));
      const taps = [entry(first), entry(end)] as const;
      const top = b.sub(b.add(b.sub(outputLine, place.inputLine), margin), lines.before);
      const pixels = b.mul(top, tapPitch);
      const to = b.add(sums, b.mul(line, spacing * lanes));
      b.for(0, spacing, tileVectors, (vector) => {
        const across = b.mul(vector, lanes);
        this.#sumTile(b.add(pixels, across), b.add(to, across), list, taps);
      });
    });
  }

  #sumTile(pixels: Value, sums: Value, list: Value, [from, to]: readonly [Value, Value]): void {
    const b = this.#b;
    const { lanes, tileLines, tileVectors } = this.config;
    const { spacing, tapPitch } = this.plan;
    const tile = Array.from({ length: tileLines * tileVectors }, (_, i) => {
      const [line, vector] = [Math.floor(i / tileVectors), i % tileVectors];
      return { line, vector, sum: b.variable(b.vec(0), 'sum') };
    });
    const entries = b.add(list, this.lists.listOffset);
    b.for(from, to, 1, (tap) => {
      const entry = b.add(entries, b.mul(tap, 2));
      const met = b.add(pixels, b.asI32(b.loadScalar(this.#packed, entry)));
      const weight = b.loadBroadcast(this.#packed, entry, 1);
      for (const { line, vector, sum } of tile) {
        sum.set(b.fma(weight, b.loadVec(this.#pixels, met, line * tapPitch + vector * lanes), sum.get()));
      }
    });
    for (const { line, vector, sum } of tile)
      b.store(this.#sums, sums, sum.get(), (line * spacing + vector) * lanes);
  }

  /** Sums → NHWC, through the epilogue. */
  #scatter({ image, channel, vectors, firstLine }: Place): void {
    const b = this.#b;
    const { lanes, band } = this.config;
    const { along, lines, spacing, sumPlane } = this.plan;
    const { epilogue } = this.problem;
    const outputs = along.outputs * lines.outputs * this.problem.pitch;
    const base = b.mul(image, outputs);
    b.for(0, vectors, 1, (vector) => {
      const first = b.add(channel, b.mul(vector, lanes));
      const constants = loadEpilogue(b, this.layout, this.#packed, first);
      b.for(0, b.min(b.sub(lines.outputs, firstLine), band), 1, (line) => {
        const plane = b.add(b.mul(vector, lanes * sumPlane), b.mul(line, spacing * lanes));
        const target = b.add(b.add(base, first), b.mul(b.add(firstLine, line), lines.outputStride));
        this.#eachStrand(along.outputs, (strand, length) => {
          const from = b.add(plane, b.mul(strand, lanes));
          const to = b.add(target, b.mul(strand, along.outputStride));
          const rows = Array.from({ length: lanes }, (_, lane) =>
            b.loadVec(this.#sums, from, lane * sumPlane),
          );
          transpose(b, rows)
            .slice(0, length)
            .forEach((sum, i) => {
              const offset = i * spacing * along.outputStride;
              const added = this.#residual && b.loadVec(this.#residual, to, offset);
              b.store(this.#y, to, applyEpilogue(b, epilogue, constants, sum, added), offset);
            });
        });
      });
    });
  }
}
