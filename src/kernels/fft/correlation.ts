import { KernelBuilder } from '../../codegen/builder.ts';
import type { Buffer, Kernel, Value } from '../../codegen/ir.ts';
import { kernelName } from '../family.ts';
import type { Config, Emission } from '../family.ts';
import { emitPartialSums } from '../training/partial-sums.ts';
import { channelsHere, clearBehindTaps } from '../training/store-taps.ts';
import { outputMap } from '../problem.ts';
import type { DepthwiseWeightGradientProblem } from '../training/problems.ts';
import { kernelExtent, realFrequencies, twiddleTable } from './axis.ts';
import type { AxisPlan } from './axis.ts';
import { forEachTap } from './tap-range.ts';
import { parkingPlace } from './parking.ts';
import { storeTapRow } from './tap-rows.ts';
import { TileTransforms, correlationSteps } from './transforms.ts';
import { clearRow, hintPixels, loadWindow } from './windows.ts';

/** Transforms of both axes, whose kernels are the taps that meet pixels, and where these begin in the kernel. */
export interface CorrelationPlan {
  readonly vertical: AxisPlan;
  readonly horizontal: AxisPlan;
  readonly firstTap: { readonly row: number; readonly column: number };
}

type CorrelationConfig = Config & { readonly lanes: number; readonly splits: number; readonly ahead: number };

/** Emits Σ over images and tiles of x correlated with dy, one block of channels a task. */
export function emitCorrelation(
  problem: DepthwiseWeightGradientProblem,
  config: CorrelationConfig,
  plan: CorrelationPlan,
): Emission {
  const { splits, lanes } = config;
  const main = [new CorrelationEmitter(problem, config, plan).emit()];
  if (splits > 1) main.push(emitPartialSums(splits, problem.gradientPitch, lanes));
  return {
    main,
    prepare: [],
    packedFloats: 0,
    tempFloats: splits > 1 ? splits * problem.gradientPitch : 0,
  };
}

class CorrelationEmitter {
  readonly #problem: DepthwiseWeightGradientProblem;
  readonly #plan: CorrelationPlan;
  readonly #splits: number;
  readonly #ahead: number;
  readonly #b: KernelBuilder;
  readonly #x: Buffer;
  readonly #dy: Buffer;
  readonly #target: Buffer;
  readonly #planeRows: number;
  readonly #sumRows: number;
  readonly #columns: number;
  readonly #pixelPlane: Buffer;
  readonly #gradientPlane: Buffer;
  readonly #sumPlane: Buffer;
  /** A row of pixels, a row of gradients with zeros between them, a row of taps. */
  readonly #pixels: Buffer;
  readonly #gradients: Buffer;
  readonly #taps: Buffer;
  readonly #transforms: Record<
    'pixelRows' | 'pixelColumns' | 'gradientRows' | 'gradientColumns' | 'sumRows' | 'sumColumns',
    TileTransforms
  >;
  readonly #channel: Value;
  readonly #split: Value;

  constructor(problem: DepthwiseWeightGradientProblem, config: CorrelationConfig, plan: CorrelationPlan) {
    const { vertical: v, horizontal: h } = plan;
    const { lanes, splits } = config;
    const { kernelHeight, kernelWidth, channels } = problem;
    this.#problem = problem;
    this.#plan = plan;
    this.#splits = splits;
    this.#ahead = config.ahead;
    const b = new KernelBuilder({
      name: kernelName(
        'depthwise_correlation',
        `${problem.batch}x${problem.height}x${problem.width}x${channels}`,
        `k${kernelHeight}x${kernelWidth}s${problem.stride}`,
        `n${v.n}x${h.n}`,
        `l${lanes}`,
      ),
      description:
        `weight gradient of depthwise ${kernelHeight}×${kernelWidth} on ${problem.height}×${problem.width}×${channels}, ` +
        `transforms ${v.p}·${v.q} × ${h.p}·${h.q}, ${v.tiles}×${h.tiles} tiles, ${splits} parts`,
      lanes,
      tasks: Math.ceil(channels / lanes) * splits,
    });
    this.#b = b;
    this.#x = b.input('x');
    this.#dy = b.input('dy');
    this.#target = b.output(splits > 1 ? 'temp' : 'y');
    this.#columns = realFrequencies(h).length;
    // An odd number of rows spreads the columns over all sets of the caches.
    this.#planeRows = Math.max(v.loads, v.tile) | 1;
    this.#sumRows = v.n | 1;
    const plane = (name: string, rows: number): Buffer => b.scratch(name, 2 * this.#columns * rows * lanes);
    this.#pixelPlane = plane('pixel_plane', this.#planeRows);
    this.#gradientPlane = plane('gradient_plane', this.#planeRows);
    this.#sumPlane = plane('sum_plane', this.#sumRows);
    const lineFloats = 2 * Math.max(v.n, (Math.floor(h.p / 2) + 1) * h.q) * lanes;
    const line = b.scratch('line', lineFloats);
    const otherLine = b.scratch('other_line', lineFloats);
    this.#pixels = b.scratch('pixels', h.n * lanes);
    this.#gradients = b.scratch('gradients', h.n * lanes);
    this.#taps = b.scratch('taps', h.n * lanes);
    const horizontalTwiddles = b.table('horizontal_twiddles', twiddleTable(h));
    const isSquare = v.p === h.p && v.q === h.q;
    const verticalTwiddles = isSquare ? horizontalTwiddles : b.table('vertical_twiddles', twiddleTable(v));
    const parked = parkingPlace(b);
    const pair = (
      buffer: Buffer,
      rows: number,
      ownLine: Buffer,
      vertical: AxisPlan,
      horizontal: AxisPlan,
    ) => {
      const memory = { plane: buffer, planeRows: rows, line: ownLine, parked };
      return [
        new TileTransforms(b, memory, horizontal, horizontalTwiddles),
        new TileTransforms(b, memory, vertical, verticalTwiddles),
      ] as const;
    };
    const [pixelRows, pixelColumns] = pair(this.#pixelPlane, this.#planeRows, line, v, h);
    const [gradientRows, gradientColumns] = pair(
      this.#gradientPlane,
      this.#planeRows,
      otherLine,
      { ...v, loads: v.tile },
      { ...h, loads: h.tile },
    );
    // Taps before the first pixel wrap around to the end.
    const wanted = (axis: AxisPlan): AxisPlan => ({
      ...axis,
      tile: axis.shift === 0 ? kernelExtent(axis) : axis.n,
    });
    const [sumRows, sumColumns] = pair(this.#sumPlane, this.#sumRows, line, wanted(v), wanted(h));
    this.#transforms = { pixelRows, pixelColumns, gradientRows, gradientColumns, sumRows, sumColumns };
    this.#channel = b.mul(b.div(b.task, splits), lanes);
    this.#split = b.rem(b.task, splits);
  }

  emit(): Kernel {
    const b = this.#b;
    const { vertical: v, horizontal: h } = this.#plan;
    const columnFloats = 2 * this.#sumRows * b.lanes;
    const clear = (buffer: Buffer, floats: number): void =>
      b.for(0, floats, b.lanes, (i) => b.store(buffer, i, b.vec(0)));
    clear(this.#sumPlane, this.#columns * columnFloats);
    if (v.stride > 1) {
      b.comment('rows and columns between the gradients of a strided layer are zero');
      clear(this.#gradientPlane, 2 * this.#columns * this.#planeRows * b.lanes);
    }
    if (h.stride > 1) clear(this.#gradients, h.n * b.lanes);
    const units = this.#problem.batch * v.tiles * h.tiles;
    const perSplit = Math.ceil(units / this.#splits);
    const first = b.mul(this.#split, perSplit);
    const end = b.min(b.add(first, perSplit), units);
    b.for(first, end, 1, (unit) => {
      const { image, tileY, tileX } = this.#locate(unit);
      this.#transformPixels(image, tileY, tileX);
      this.#transformGradients(image, tileY, tileX);
      const { pixelColumns, gradientColumns } = this.#transforms;
      const fetch = this.#ahead > 0 ? this.#fetchAhead(unit, end, perSplit, units) : undefined;
      b.for(0, this.#columns, 1, (column) => {
        const sums = b.mul(column, columnFloats);
        const meanwhile = fetch && ((step: Value): void => fetch(column, step));
        pixelColumns.correlateColumn(column, gradientColumns, this.#sumPlane, sums, meanwhile);
      });
    });
    b.for(0, this.#columns, 1, (column) => this.#transforms.sumColumns.inverseColumn(column));
    this.#storeTaps();
    return b.build();
  }

  #locate(unit: Value): { readonly image: Value; readonly tileY: Value; readonly tileX: Value } {
    const b = this.#b;
    const { vertical: v, horizontal: h } = this.#plan;
    return {
      tileX: b.rem(unit, h.tiles),
      tileY: b.rem(b.div(unit, h.tiles), v.tiles),
      image: b.div(unit, h.tiles * v.tiles),
    };
  }

  /** Hints at the next image or tile, at the end those of a later task, most likely the thread's next. */
  #fetchAhead(
    unit: Value,
    end: Value,
    perSplit: number,
    units: number,
  ): (column: Value, step: Value) => void {
    const b = this.#b;
    const { vertical: v, horizontal: h } = this.#plan;
    const { channels, pitch, stride } = this.#problem;
    const out = outputMap(this.#problem);
    const next = b.add(unit, 1);
    const isLast = b.le(end, next);
    const task = b.select(isLast, b.add(b.task, this.#ahead), b.task);
    const first = b.min(b.mul(b.rem(task, this.#splits), perSplit), units - 1);
    const { image, tileY, tileX } = this.#locate(b.select(isLast, first, next));
    const channel = b.mul(b.div(task, this.#splits), b.lanes);
    const exists = b.lt(channel, channels);
    const area = (map: { readonly height: number; readonly width: number }, top: Value, left: Value) => ({
      ...map,
      pitch,
      image,
      channel,
      firstRow: b.max(top, 0),
      firstColumn: left,
    });
    const top = v.tiles === 1 ? b.i32(0) : b.sub(b.mul(tileY, v.tile), v.padding);
    const left = h.tiles === 1 ? b.i32(0) : b.sub(b.mul(tileX, h.tile), h.padding);
    const [rows, columns] = [Math.ceil(v.tile / stride), Math.ceil(h.tile / stride)];
    const [outTop, outLeft] = [b.mul(tileY, rows), b.mul(tileX, columns)];
    const endRow = (first: Value, count: number, height: number): Value =>
      b.select(exists, b.min(b.add(first, count), height), 0);
    const { height, width } = this.#problem;
    const perColumn = correlationSteps(v, { ...v, loads: v.tile });
    const steps = this.#columns * perColumn;
    const hints = [
      {
        ...area({ height, width }, top, left),
        buffer: this.#x,
        rows: v.loads,
        columns: h.loads,
        endRow: endRow(top, v.loads, height),
      },
      {
        ...area(out, outTop, outLeft),
        buffer: this.#dy,
        rows,
        columns,
        endRow: endRow(outTop, rows, out.height),
      },
    ].map((place) => hintPixels(b, place, steps));
    return (column, step) => {
      const at = b.add(b.mul(column, perColumn), step);
      for (const hint of hints) hint(at);
    };
  }

  /** Rows of x to `pixelPlane`. */
  #transformPixels(image: Value, tileY: Value, tileX: Value): void {
    const b = this.#b;
    const { vertical: v, horizontal: h } = this.#plan;
    const { height, width, pitch } = this.#problem;
    const firstRow = v.tiles === 1 ? b.i32(0) : b.sub(b.mul(tileY, v.tile), v.padding);
    const low = v.tiles === 1 ? b.i32(0) : b.min(b.max(b.sub(0, firstRow), 0), v.loads);
    const high = v.tiles === 1 ? b.i32(v.loads) : b.max(b.min(b.sub(height, firstRow), v.loads), low);
    if (v.tiles > 1) {
      const clear = (row: Value): void => clearRow(b, this.#pixelPlane, this.#planeRows, this.#columns, row);
      b.for(0, low, 1, clear);
      b.for(high, v.loads, 1, clear);
    }
    const firstColumn = b.sub(b.mul(tileX, h.tile), h.padding);
    b.for(low, high, 1, (row) => {
      const line = b.mul(b.add(b.mul(image, height), b.add(firstRow, row)), width * pitch);
      const from = b.add(line, this.#channel);
      if (h.tiles === 1) {
        this.#transforms.pixelRows.forwardRow(
          (j, i) => b.loadVec(this.#x, b.add(from, b.mul(j, pitch)), i * pitch),
          row,
        );
        return;
      }
      loadWindow(b, this.#x, from, pitch, width, firstColumn, h.loads, this.#pixels);
      this.#transforms.pixelRows.forwardRow(
        (j, i) => b.loadVec(this.#pixels, b.mul(j, b.lanes), i * b.lanes),
        row,
      );
    });
  }

  /** Rows of dy, as far apart as their windows, to `gradientPlane`. */
  #transformGradients(image: Value, tileY: Value, tileX: Value): void {
    const b = this.#b;
    const { vertical: v, horizontal: h } = this.#plan;
    const { pitch, stride } = this.#problem;
    const out = outputMap(this.#problem);
    const [tileRows, tileColumns] = [Math.ceil(v.tile / stride), Math.ceil(h.tile / stride)];
    const [firstRow, firstColumn] = [b.mul(tileY, tileRows), b.mul(tileX, tileColumns)];
    const rows = v.tiles === 1 ? b.i32(out.height) : b.min(b.sub(out.height, firstRow), tileRows);
    const columns = h.tiles === 1 ? b.i32(out.width) : b.min(b.sub(out.width, firstColumn), tileColumns);
    if (v.tiles > 1) {
      b.for(rows, tileRows, 1, (row) =>
        clearRow(b, this.#gradientPlane, this.#planeRows, this.#columns, b.mul(row, stride)),
      );
    }
    b.for(0, rows, 1, (row) => {
      const line = b.add(
        b.mul(b.add(b.mul(image, out.height), b.add(firstRow, row)), out.width),
        firstColumn,
      );
      const from = b.add(b.mul(line, pitch), this.#channel);
      const { gradientRows } = this.#transforms;
      const place = b.mul(row, stride);
      if (h.tiles === 1 && stride === 1) {
        gradientRows.forwardRow(
          (j, i) => b.loadVec(this.#dy, b.add(from, b.mul(j, pitch)), i * pitch),
          place,
        );
        return;
      }
      const spread = stride * b.lanes;
      b.for(0, columns, 1, (c) =>
        b.store(this.#gradients, b.mul(c, spread), b.loadVec(this.#dy, b.add(from, b.mul(c, pitch)))),
      );
      if (h.tiles > 1) {
        b.for(columns, tileColumns, 1, (c) => b.store(this.#gradients, b.mul(c, spread), b.vec(0)));
      }
      gradientRows.forwardRow((j, i) => b.loadVec(this.#gradients, b.mul(j, b.lanes), i * b.lanes), place);
    });
  }

  /** The taps among the sums' inverse transform, in PyTorch's order; zeros where no pixel was met. */
  #storeTaps(): void {
    const b = this.#b;
    const { vertical: v, horizontal: h, firstTap } = this.#plan;
    const { channels, kernelHeight, kernelWidth, gradientPitch } = this.#problem;
    const taps = kernelHeight * kernelWidth;
    const part = this.#splits > 1 ? b.mul(this.#split, gradientPitch) : b.i32(0);
    const count = channelsHere(b, channels, this.#channel);
    const isFull = channels % b.lanes === 0;
    const target = b.add(part, b.mul(this.#channel, taps));
    const isPartial = v.kernel < kernelHeight || h.kernel < kernelWidth;
    if (isPartial) {
      b.for(target, b.add(target, b.mul(count, taps)), 1, (i) => b.store(this.#target, i, b.f32(0)));
    }
    const scale = b.vec(1 / (v.n * h.n));
    forEachTap(b, v, (k, row) => {
      this.#transforms.sumRows.inverseRow(row, (j, i, value) =>
        b.store(this.#taps, b.mul(j, b.lanes), b.mul(value, scale), i * b.lanes),
      );
      const tapRow = b.add(target, b.add(b.mul(b.add(k, firstTap.row), kernelWidth), firstTap.column));
      const start = (lane: Value): Value => b.add(tapRow, b.mul(lane, taps));
      storeTapRow(b, h, { buffer: this.#target, start, count, isFull }, this.#taps);
    });
    clearBehindTaps(b, this.#problem, this.#target, part, this.#channel);
  }
}
