import { KernelBuilder } from '../codegen/builder.ts';
import type { Buffer, Kernel, Value } from '../codegen/ir.ts';
import type { DeviceCaps } from '../core/caps.ts';
import { applyEpilogue, epilogueLayout, loadEpilogue, packEpilogue } from './epilogue.ts';
import { kernelName } from './family.ts';
import type { Config, Emission, KernelFamily } from './family.ts';
import { axisPlans, depthwiseAxes, planAxis, planSizes, realFrequencies, twiddleTable } from './fft/axis.ts';
import type { AxisPlan } from './fft/axis.ts';
import { outgrowsCaches, planCycles, spectraAreFar } from './fft/cost.ts';
import { parkingPlace } from './fft/parking.ts';
import { emitSpectra } from './fft/spectra.ts';
import { TileTransforms, columnSteps } from './fft/transforms.ts';
import { clearRow, hintPixels, loadWindow } from './fft/windows.ts';
import { outputMap } from './problem.ts';
import type { DepthwiseProblem } from './problem.ts';

/** Codelet lengths p·q of each axis' transforms, and outputs of a tile (0: the whole axis at once). */
export interface DepthwiseFftConfig extends Config {
  readonly lanes: number;
  readonly heightP: number;
  readonly heightQ: number;
  readonly heightTile: number;
  readonly widthP: number;
  readonly widthQ: number;
  readonly widthTile: number;
  /**
   * 0 if the maps may stay in the caches. Else a task fetches the pixels of the task that follows after so many
   * others, most likely the next of its thread, or where rows are cut the next row's, and outputs are stored past the caches.
   */
  readonly ahead: number;
  /** 1 if each column fetches the spectrum of the next one, since it lies beyond the second-level cache; else 0. */
  readonly spectraAhead: number;
}

/**
 * Depthwise convolution in the frequency domain, whose time hardly depends on the kernel's size.
 *
 * Each vector lane is another channel, so transforms are straight-line vector code without shuffles. A tile
 * of the map goes through three passes: real transforms of its rows; for each of the n/2 + 1 columns, the
 * transform, the product with the kernel's spectrum and the inverse, all in the first-level cache; inverse
 * real transforms of the rows that are wanted. Only non-zero input and wanted output is ever computed.
 */
export const depthwiseFft: KernelFamily<DepthwiseProblem, DepthwiseFftConfig> = {
  name: 'depthwise-fft',
  op: 'depthwise',
  configs,
  estimate,
  emit,
};

/** Candidates beyond the best few of each lane count are never measured. */
const MAX_CONFIGS_PER_LANES = 6;

interface Plan {
  readonly vertical: AxisPlan;
  readonly horizontal: AxisPlan;
}

function configs(problem: DepthwiseProblem, caps: DeviceCaps): DepthwiseFftConfig[] {
  const { vertical, horizontal } = depthwiseAxes(problem);
  if (problem.kernelHeight * problem.kernelWidth < 9) return [];
  const found: DepthwiseFftConfig[] = [];
  const verticalPlans = axisPlans(vertical);
  const horizontalPlans = axisPlans(horizontal);
  for (const lanes of caps.lanes.filter((l) => problem.pitch % l === 0)) {
    const ahead = outgrowsCaches(problem, lanes) ? caps.threads : 0;
    const ranked: { readonly config: DepthwiseFftConfig; readonly cost: number }[] = [];
    for (const v of verticalPlans) {
      for (const h of horizontalPlans) {
        const config = {
          lanes,
          ...planSizes(v, h),
          ahead,
          spectraAhead: spectraAreFar(problem, lanes, v, h, caps) ? 1 : 0,
        };
        ranked.push({ config, cost: planCycles(problem, lanes, v, h, caps) });
      }
    }
    ranked.sort((a, b) => a.cost - b.cost);
    found.push(...ranked.slice(0, MAX_CONFIGS_PER_LANES).map((entry) => entry.config));
  }
  return found;
}

function estimate(problem: DepthwiseProblem, config: DepthwiseFftConfig, caps: DeviceCaps): number {
  const { vertical, horizontal } = plan(problem, config);
  return planCycles(problem, config.lanes, vertical, horizontal, caps);
}

function plan(problem: DepthwiseProblem, config: DepthwiseFftConfig): Plan {
  const { vertical, horizontal } = depthwiseAxes(problem);
  const v = planAxis(vertical, config.heightP, config.heightQ, config.heightTile);
  const h = planAxis(horizontal, config.widthP, config.widthQ, config.widthTile);
  if (v === undefined || h === undefined) throw new RangeError('the transform is too short for this problem');
  return { vertical: v, horizontal: h };
}

function emit(problem: DepthwiseProblem, config: DepthwiseFftConfig): Emission {
  const { vertical, horizontal } = plan(problem, config);
  const blocks = problem.pitch / config.lanes;
  const spectraFloats = blocks * realFrequencies(horizontal).length * vertical.n * 2 * config.lanes;
  const layout = epilogueLayout(problem.epilogue, problem.pitch, spectraFloats);
  const suffix = kernelName(
    `${problem.height}x${problem.width}x${problem.channels}`,
    `k${problem.kernelHeight}x${problem.kernelWidth}`,
    `n${vertical.n}x${horizontal.n}`,
    `l${config.lanes}`,
  );
  const prepare = new KernelBuilder({
    name: kernelName(problem.adjoint ? 'depthwise_fft_spectra_adjoint' : 'depthwise_fft_spectra', suffix),
    description: `spectra of depthwise ${problem.kernelHeight}×${problem.kernelWidth} kernels`,
    lanes: config.lanes,
    tasks: Math.ceil(problem.channels / config.lanes),
  });
  const weight = prepare.input('weight');
  const packed = prepare.output('packed');
  emitSpectra(prepare, weight, packed, problem.channels, vertical, horizontal, problem.adjoint);
  const packedEpilogue = packEpilogue(problem.epilogue, layout, problem.channels);
  return {
    main: [emitMain(problem, config, { vertical, horizontal }, `depthwise_fft_${suffix}`)],
    prepare: [prepare.build(), ...packedEpilogue],
    packedFloats: spectraFloats + layout.floats,
    tempFloats: 0,
  };
}

function emitMain(
  problem: DepthwiseProblem,
  config: DepthwiseFftConfig,
  tilePlan: Plan,
  name: string,
): Kernel {
  const { vertical: v, horizontal: h } = tilePlan;
  const { batch, channels, pitch, epilogue } = problem;
  const { lanes } = config;
  const blocks = pitch / lanes;
  const columns = realFrequencies(h).length;
  // An odd number of rows spreads the columns over all sets of the caches.
  const planeRows = Math.max(v.loads, v.tile) | 1;
  const out = outputMap(problem);
  const b = new KernelBuilder({
    name,
    description:
      `depthwise ${problem.kernelHeight}×${problem.kernelWidth} on ${problem.height}×${problem.width}×${channels}, ` +
      `transforms ${v.p}·${v.q} × ${h.p}·${h.q}, ${v.tiles}×${h.tiles} tiles`,
    lanes,
    tasks: blocks * batch * v.tiles * h.tiles,
  });
  const x = b.input('x');
  const packed = b.input('packed');
  const residual = epilogue.residual ? b.input('residual') : undefined;
  const y = b.output('y');
  const memory = {
    plane: b.scratch('plane', 2 * columns * planeRows * lanes),
    planeRows,
    line: b.scratch('line', 2 * Math.max(v.n, (Math.floor(h.p / 2) + 1) * h.q) * lanes),
    parked: parkingPlace(b),
  };
  const horizontalTwiddles = b.table('horizontal_twiddles', twiddleTable(h));
  const sameTwiddles = v.p === h.p && v.q === h.q;
  const verticalTwiddles = sameTwiddles ? horizontalTwiddles : b.table('vertical_twiddles', twiddleTable(v));
  const rows = new TileTransforms(b, memory, h, horizontalTwiddles);
  const columnTransforms = new TileTransforms(b, memory, v, verticalTwiddles);

  const { tileX, tileY, image, block } = locateTask(b, b.task, problem, config, tilePlan);
  const channel = b.mul(block, lanes);
  const layout = epilogueLayout(epilogue, pitch, blocks * columns * v.n * 2 * lanes);
  const vectors = loadEpilogue(b, layout, packed, channel);

  const buffered = h.tiles > 1 || h.stride > 1;
  const pixels = buffered ? b.scratch('pixels', h.n * lanes) : undefined;
  const rowOf = (window: Value): Value =>
    b.add(b.mul(b.add(b.mul(image, problem.height), window), problem.width * pitch), channel);

  const firstRow = v.tiles === 1 ? b.i32(0) : b.sub(b.mul(tileY, v.tile), v.padding);
  const low = v.tiles === 1 ? b.i32(0) : b.min(b.max(b.sub(0, firstRow), 0), v.loads);
  const high = v.tiles === 1 ? b.i32(v.loads) : b.min(b.sub(problem.height, firstRow), v.loads);
  if (v.tiles > 1) {
    b.comment('rows outside the map are zero');
    const clear = (row: Value): void => clearRow(b, memory.plane, planeRows, columns, row);
    b.for(0, low, 1, clear);
    b.for(b.max(high, 0), v.loads, 1, clear);
  }
  const firstColumn = b.sub(b.mul(tileX, h.tile), h.padding);
  b.for(low, high, 1, (row) => {
    const from = rowOf(b.add(firstRow, row));
    if (pixels !== undefined && h.tiles > 1) {
      loadWindow(b, x, from, pitch, problem.width, firstColumn, h.loads, pixels);
      rows.forwardRow((j, i) => {
        if (config.ahead > 0) {
          const below = b.add(from, b.mul(b.add(firstColumn, problem.width), pitch));
          b.prefetch(x, b.add(below, b.mul(j, pitch)), i * pitch);
        }
        return b.loadVec(pixels, b.mul(j, lanes), i * lanes);
      }, row);
    } else {
      rows.forwardRow((j, i) => b.loadVec(x, b.add(from, b.mul(j, pitch)), i * pitch), row);
    }
  });

  // Tiles of long rows fill the second-level cache, where pixels would not stay until they are needed.
  const isRoomy = config.ahead > 0 && h.tiles === 1;
  const fetch = isRoomy ? fetchAhead(b, x, problem, config, tilePlan) : undefined;
  const columnFloats = v.n * 2 * lanes;
  const blockSpectra = b.mul(block, columns * columnFloats);
  b.for(0, columns, 1, (column) => {
    const spectrum = b.add(blockSpectra, b.mul(column, columnFloats));
    columnTransforms.convolveColumn(column, packed, spectrum, (step) => {
      if (config.spectraAhead > 0)
        fetchPart(b, packed, b.add(spectrum, columnFloats), columnFloats, step, columnSteps(v));
      fetch?.(column, step);
    });
  });

  const finish = (at: Value, offset: number, value: Value): void => {
    const added = residual && b.loadVec(residual, at, offset);
    const result = applyEpilogue(b, epilogue, vectors, value, added);
    if (config.ahead === 0) b.store(y, at, result, offset);
    else b.stream(y, at, result, offset);
  };
  const span = (out.height - 1) * v.stride + 1;
  const wanted = v.tiles === 1 ? b.i32(v.tile) : b.min(b.sub(span, b.mul(tileY, v.tile)), v.tile);
  b.for(0, wanted, v.stride, (row) => {
    const outRow = b.div(b.add(b.mul(tileY, v.tile), row), v.stride);
    const to = b.add(b.mul(b.add(b.mul(image, out.height), outRow), out.width * pitch), channel);
    if (pixels === undefined) {
      rows.inverseRow(row, (j, i, pixel) => finish(b.add(to, b.mul(j, pitch)), i * pitch, pixel));
      return;
    }
    rows.inverseRow(row, (j, i, pixel) => b.store(pixels, b.mul(j, lanes), pixel, i * lanes));
    const firstOut = b.div(b.mul(tileX, h.tile), h.stride);
    const count = b.min(b.sub(out.width, firstOut), Math.ceil(h.tile / h.stride));
    b.for(0, count, 1, (i) => {
      const pixel = b.loadVec(pixels, b.mul(i, h.stride * lanes));
      finish(b.add(to, b.mul(b.add(firstOut, i), pitch)), 0, pixel);
    });
  });
  return b.build();
}

interface TaskPlace {
  readonly tileX: Value;
  readonly tileY: Value;
  readonly image: Value;
  readonly block: Value;
}

/**
 * Tasks that follow each other share spectra, or, where maps come from memory, take neighbouring channels of the same
 * pixels: memory hands out neighbours quickest.
 */
function locateTask(
  b: KernelBuilder,
  task: Value,
  { batch, pitch }: DepthwiseProblem,
  { lanes, ahead }: DepthwiseFftConfig,
  { vertical: v, horizontal: h }: Plan,
): TaskPlace {
  const [blocks, tiles] = [pitch / lanes, h.tiles * v.tiles * batch];
  const isFar = ahead > 0;
  const tile = isFar ? b.div(task, blocks) : b.rem(task, tiles);
  return {
    tileX: b.rem(tile, h.tiles),
    tileY: b.rem(b.div(tile, h.tiles), v.tiles),
    image: b.div(tile, h.tiles * v.tiles),
    block: isFar ? b.rem(task, blocks) : b.div(task, tiles),
  };
}

/** Hints at the cache lines of one of `parts` parts of `floats` floats from `first` on. */
function fetchPart(
  b: KernelBuilder,
  buffer: Buffer,
  first: Value,
  floats: number,
  part: Value,
  parts: number,
): void {
  const lines = Math.ceil(floats / LINE_FLOATS / parts);
  const from = b.add(first, b.mul(part, lines * LINE_FLOATS));
  for (let i = 0; i < lines; i++) b.prefetch(buffer, from, i * LINE_FLOATS);
}

/** A cache line. */
const LINE_FLOATS = 16;

/** Spreads hints for the pixels of a later task over the steps of all columns. */
function fetchAhead(
  b: KernelBuilder,
  x: Buffer,
  problem: DepthwiseProblem,
  config: DepthwiseFftConfig,
  tilePlan: Plan,
): (column: Value, step: Value) => void {
  const { vertical: v, horizontal: h } = tilePlan;
  const { height, width, pitch, batch } = problem;
  const stepsOfColumn = columnSteps(v);
  const task = b.add(b.task, config.ahead);
  const { tileX, tileY, image, block } = locateTask(b, task, problem, config, tilePlan);
  const top = v.tiles === 1 ? b.i32(0) : b.sub(b.mul(tileY, v.tile), v.padding);
  const left = h.tiles === 1 ? b.i32(0) : b.sub(b.mul(tileX, h.tile), h.padding);
  const lastTask = (problem.pitch / config.lanes) * batch * v.tiles * h.tiles - 1;
  const end = b.select(b.lt(lastTask, task), 0, b.min(b.add(top, v.loads), height));
  const area = {
    ...{ buffer: x, height, width, pitch, image },
    ...{ rows: v.loads, columns: h.loads, firstRow: b.max(top, 0), endRow: end, firstColumn: left },
    channel: b.mul(block, config.lanes),
  };
  const hint = hintPixels(b, area, realFrequencies(h).length * stepsOfColumn);
  return (column, step) => hint(b.add(b.mul(column, stepsOfColumn), step));
}
