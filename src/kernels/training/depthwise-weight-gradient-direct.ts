import { KernelBuilder } from '../../codegen/builder.ts';
import type { Variable } from '../../codegen/builder.ts';
import type { Buffer, Kernel, Value } from '../../codegen/ir.ts';
import type { DeviceCaps } from '../../core/caps.ts';
import { kernelName } from '../family.ts';
import type { Config, Emission, KernelFamily } from '../family.ts';
import { axisPlans, depthwiseAxes, meetingTaps } from '../fft/axis.ts';
import { emitPartialSums } from './partial-sums.ts';
import { channelsHere, clearBehindTaps } from './store-taps.ts';
import { outputMap } from '../problem.ts';
import type { DepthwiseWeightGradientProblem } from './problems.ts';
import { multiplyAddCycles } from '../rates.ts';
import { forRowTiles } from '../row-tiles.ts';
import type { RowTile } from '../row-tiles.ts';
import { meetingPairs, meetings } from '../taps.ts';

export interface DepthwiseWeightGradientDirectConfig extends Config {
  readonly lanes: number;
  /** Neighbouring gradients of a row that are held in registers. */
  readonly tile: number;
  /** Taps whose sums are held in registers: so many rows of the kernel (one, or all) by so many columns. */
  readonly tapRows: number;
  readonly tapColumns: number;
  /** Rows of dy between loading and storing the sums. */
  readonly rows: number;
  /** Parts of all rows that are summed by tasks of their own. */
  readonly splits: number;
}

/**
 * Gradient of a depthwise convolution to its kernel as the sum it is, for small kernels: sums of neighbouring taps stay
 * in registers while rows pass by, each pixel is loaded once for all its taps.
 */
export const depthwiseWeightGradientDirect: KernelFamily<
  DepthwiseWeightGradientProblem,
  DepthwiseWeightGradientDirectConfig
> = {
  name: 'depthwise-weight-gradient-direct',
  op: 'depthwise-weight-gradient',
  configs,
  estimate,
  emit,
};

/** Kernels of more taps are left to transforms, where a transform is long enough. */
const MAX_TAPS = 17 * 17;
const SPLITS = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32];
const MAX_PARTIAL_BYTES = 2 ** 24;
/** Floats of x and dy that should stay in the first-level cache while kernel rows pass by. */
const NEAR_FLOATS = 6144;
const MAX_TILE = 12;

function configs(
  problem: DepthwiseWeightGradientProblem,
  caps: DeviceCaps,
): DepthwiseWeightGradientDirectConfig[] {
  const { kernelHeight, kernelWidth, batch } = problem;
  if (kernelHeight * kernelWidth > MAX_TAPS && hasTransforms(problem)) return [];
  const out = outputMap(problem);
  const found: DepthwiseWeightGradientDirectConfig[] = [];
  const many = caps.vectorRegisters >= 32;
  const most = many ? 13 : 7;
  const tapRows = kernelHeight * kernelWidth <= (many ? 16 : 9) ? kernelHeight : 1;
  const tapColumns = Math.ceil(kernelWidth / Math.ceil(kernelWidth / most));
  const room = Math.min(caps.vectorRegisters - tapRows * tapColumns - 2, MAX_TILE);
  const tile = Math.ceil(out.width / Math.ceil(out.width / room));
  for (const lanes of caps.lanes.filter((l) => problem.pitch % l === 0)) {
    const rows = Math.max(1, Math.min(out.height, Math.floor(NEAR_FLOATS / (2 * out.width * lanes))));
    const blocks = Math.ceil(problem.channels / lanes);
    const parts = Math.min(
      batch * out.height,
      Math.ceil((8 * caps.threads) / blocks),
      Math.floor(MAX_PARTIAL_BYTES / (4 * problem.gradientPitch)),
    );
    const [best] = SPLITS.filter((n) => n === 1 || n <= parts)
      .map((splits) => ({ lanes, tile, tapRows, tapColumns, rows, splits }))
      .map((config) => ({ config, cost: estimate(problem, config, caps) }))
      .sort((a, b) => a.cost - b.cost);
    if (best) found.push(best.config);
  }
  return found;
}

function hasTransforms(problem: DepthwiseWeightGradientProblem): boolean {
  const { vertical, horizontal } = depthwiseAxes(problem);
  return [vertical, horizontal].every((axis) => {
    const taps = meetingTaps(axis);
    return taps !== undefined && axisPlans(taps.axis).length > 0;
  });
}

const TASK_CYCLES = 500;
const ROW_CYCLES = 12;
const FAR_BYTES_PER_CYCLE = 10;

function estimate(
  problem: DepthwiseWeightGradientProblem,
  config: DepthwiseWeightGradientDirectConfig,
  caps: DeviceCaps,
): number {
  const { kernelHeight, kernelWidth, stride, channels, gradientPitch, batch } = problem;
  const { lanes, tile, tapRows, tapColumns, splits, rows } = config;
  const out = outputMap(problem);
  const width = multiplyAddCycles(lanes, caps);
  const cycles = width * (caps.fma ? 1.15 : 2.2);
  const { vertical: kernelRows, horizontal: products } = meetingPairs(problem);
  const chunks = Math.ceil(kernelWidth / tapColumns);
  // A tile's gradients are loaded once for all kernel rows at hand, its pixels for each.
  const tiles = Math.ceil(out.width / tile);
  const loads = chunks * tiles * (tile / tapRows + (tile - 1) * stride + tapColumns) * width;
  const image = kernelRows * (Math.max(products * cycles, loads) + 0.25 * loads + ROW_CYCLES * chunks);
  const passes = Math.ceil(out.height / rows);
  const sums = passes * kernelHeight * kernelWidth * 3;
  const bytes = Math.max(64, 4 * lanes) * (problem.height * problem.width + out.height * out.width);
  const perImage = image + sums + bytes / FAR_BYTES_PER_CYCLE;
  const last = kernelHeight * kernelWidth * (lanes * 1.5 + 1);
  const tasks = Math.ceil(channels / lanes) * splits;
  const rounds = Math.ceil(tasks / caps.threads) * caps.threads;
  const reduce = splits > 1 ? ((splits + 1) * gradientPitch * 1.5) / lanes + 2000 : 0;
  return rounds * ((batch / splits) * perImage + last + TASK_CYCLES) + reduce;
}

function emit(
  problem: DepthwiseWeightGradientProblem,
  config: DepthwiseWeightGradientDirectConfig,
): Emission {
  const { splits, lanes } = config;
  const main = [new DirectGradientEmitter(problem, config).emit()];
  if (splits > 1) main.push(emitPartialSums(splits, problem.gradientPitch, lanes));
  return {
    main,
    prepare: [],
    packedFloats: 0,
    tempFloats: splits > 1 ? splits * problem.gradientPitch : 0,
  };
}

/** Kernel columns `first … first + sums[0].length − 1`, their sums by kernel row. */
interface TapChunk {
  readonly first: number;
  readonly sums: readonly (readonly Variable[])[];
}

class DirectGradientEmitter {
  readonly #problem: DepthwiseWeightGradientProblem;
  readonly #config: DepthwiseWeightGradientDirectConfig;
  readonly #b: KernelBuilder;
  readonly #x: Buffer;
  readonly #dy: Buffer;
  readonly #target: Buffer;
  readonly #sums: Buffer;
  readonly #channel: Value;
  readonly #split: Value;

  constructor(problem: DepthwiseWeightGradientProblem, config: DepthwiseWeightGradientDirectConfig) {
    const { batch, height, width, channels, kernelHeight, kernelWidth, stride } = problem;
    const { lanes, tile, tapRows, tapColumns, splits } = config;
    this.#problem = problem;
    this.#config = config;
    const b = new KernelBuilder({
      name: kernelName(
        'depthwise_weight_gradient',
        `${batch}x${height}x${width}x${channels}`,
        `k${kernelHeight}x${kernelWidth}s${stride}`,
        `t${tile}`,
        `l${lanes}`,
      ),
      description:
        `weight gradient of depthwise ${kernelHeight}×${kernelWidth}/${stride} on ${height}×${width}×${channels}, ` +
        `${tile} gradients and ${tapRows}×${tapColumns} taps in registers, ${splits} parts`,
      lanes,
      tasks: Math.ceil(channels / lanes) * splits,
    });
    this.#b = b;
    this.#x = b.input('x');
    this.#dy = b.input('dy');
    this.#target = b.output(splits > 1 ? 'temp' : 'y');
    this.#sums = b.scratch('sums', kernelHeight * kernelWidth * lanes);
    this.#channel = b.mul(b.div(b.task, splits), lanes);
    this.#split = b.rem(b.task, splits);
  }

  emit(): Kernel {
    const b = this.#b;
    const { batch, kernelHeight, kernelWidth } = this.#problem;
    const { lanes, rows, splits, tapRows, tapColumns } = this.#config;
    b.for(0, kernelHeight * kernelWidth * lanes, lanes, (i) => b.store(this.#sums, i, b.vec(0)));
    const allRows = batch * outputMap(this.#problem).height;
    const perSplit = Math.ceil(allRows / splits);
    const firstRow = b.mul(this.#split, perSplit);
    const endRow = b.min(b.add(firstRow, perSplit), allRows);
    b.for(firstRow, endRow, rows, (first) => {
      const end = b.min(b.add(first, rows), endRow);
      b.for(0, kernelHeight, tapRows, (ky) => {
        for (let kx = 0; kx < kernelWidth; kx += tapColumns) {
          this.#addRows(first, end, ky, kx, Math.min(tapColumns, kernelWidth - kx));
        }
      });
    });
    this.#storeSums();
    return b.build();
  }

  /** Adds what rows `first` to `end` of dy give to the taps from (ky, kx) on. */
  #addRows(first: Value, end: Value, ky: Value, kx: number, columns: number): void {
    const b = this.#b;
    const { kernelWidth } = this.#problem;
    const { lanes, tapRows } = this.#config;
    const at = b.mul(ky, kernelWidth * lanes);
    const offset = (g: number, i: number): number => (g * kernelWidth + kx + i) * lanes;
    const sums = Array.from({ length: tapRows }, (_, g) =>
      Array.from({ length: columns }, (_, i) => b.variable(b.loadVec(this.#sums, at, offset(g, i)), 'sum')),
    );
    b.for(first, end, 1, (row) => this.#addRow(row, ky, { first: kx, sums }));
    sums.forEach((line, g) => line.forEach((sum, i) => b.store(this.#sums, at, sum.get(), offset(g, i))));
  }

  #addRow(row: Value, ky: Value, chunk: TapChunk): void {
    const b = this.#b;
    const { height, width, pitch, stride, dilation, padding } = this.#problem;
    const out = outputMap(this.#problem);
    const image = b.div(row, out.height);
    const top = b.sub(b.mul(b.rem(row, out.height), stride), padding.top);
    const gradientBase = b.add(b.mul(row, out.width * pitch), this.#channel);
    const pixelRow = (g: number): Value => b.add(top, b.mul(b.add(ky, g), dilation));
    const pixelBase = (g: number): Value =>
      b.add(b.mul(b.add(b.mul(image, height), pixelRow(g)), width * pitch), this.#channel);
    const ifOnMap = (g: number, body: () => void): void =>
      b.if(b.and(b.le(0, pixelRow(g)), b.lt(pixelRow(g), height)), body);
    const taps = { first: chunk.first, count: chunk.sums[0]?.length ?? 0 };
    const tiles = (): void =>
      forRowTiles(b, this.#problem, this.#config.tile, taps, (tile) => {
        const gradients = this.#loadGradients(gradientBase, tile);
        chunk.sums.forEach((sums, g) => {
          const add = (): void => this.#addProducts(pixelBase(g), tile, gradients, chunk.first, sums);
          if (chunk.sums.length > 1) ifOnMap(g, add);
          else add();
        });
      });
    if (chunk.sums.length > 1) tiles();
    else ifOnMap(0, tiles);
  }

  #loadGradients(base: Value, tile: RowTile): Value[] {
    const b = this.#b;
    const { pitch } = this.#problem;
    const at = b.add(base, b.mul(tile.first, pitch));
    return Array.from({ length: tile.width }, (_, i) => b.loadVec(this.#dy, at, i * pitch));
  }

  /** Each pixel of the row times the gradients that it meets. */
  #addProducts(
    pixelBase: Value,
    tile: RowTile,
    gradients: readonly Value[],
    firstTap: number,
    sums: readonly Variable[],
  ): void {
    const b = this.#b;
    const { pitch, stride, dilation, padding } = this.#problem;
    const meets = (i: number, k: number): boolean => tile.meets(i, firstTap + k);
    const base = b.add(pixelBase, b.mul(tile.first, stride * pitch));
    const firstColumn = firstTap * dilation - padding.left;
    for (const { position, pairs } of meetings(gradients.length, sums.length, stride, dilation, meets)) {
      const pixel = b.loadVec(this.#x, base, (firstColumn + position) * pitch);
      for (const { output, tap } of pairs) {
        const [gradient, sum] = [gradients[output], sums[tap]];
        if (gradient && sum) sum.set(b.fma(gradient, pixel, sum.get()));
      }
    }
  }

  /** [tap][lane] to [channel][tap]. */
  #storeSums(): void {
    const b = this.#b;
    const { channels, kernelHeight, kernelWidth, gradientPitch } = this.#problem;
    const taps = kernelHeight * kernelWidth;
    const part = this.#config.splits > 1 ? b.mul(this.#split, gradientPitch) : b.i32(0);
    b.for(0, channelsHere(b, channels, this.#channel), 1, (lane) => {
      const to = b.add(part, b.mul(b.add(this.#channel, lane), taps));
      b.for(0, taps, 1, (tap) => {
        const sum = b.loadScalar(this.#sums, b.add(b.mul(tap, b.lanes), lane));
        b.store(this.#target, b.add(to, tap), sum);
      });
    });
    clearBehindTaps(b, this.#problem, this.#target, part, this.#channel);
  }
}
